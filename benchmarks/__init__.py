"""What opskit costs, beside the programs that people use now."""
