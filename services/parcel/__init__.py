"""Collections as one signed file that another box can take."""
