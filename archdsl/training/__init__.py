"""Training: data sets, augmentation, loops and scores."""
