"""One process for places without CronJobs, and the exporter in a cluster: scheduler, metrics, status page."""
