"""What happened to Uploads, told to whoever processes them."""
