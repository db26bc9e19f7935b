"""What people look at: the network as rows of its own text, as a picture, as fields of view, as one HTML page."""
