"""opskit's own objects in a cluster: installed, run by hand, looked at, removed."""
