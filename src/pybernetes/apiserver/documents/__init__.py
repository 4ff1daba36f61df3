"""What the server tells about itself: discovery and OpenAPI, made from the resources that are served."""
