"""The arithmetic of quantised models, for those who prepare them and those who draw them. Import the modules."""
