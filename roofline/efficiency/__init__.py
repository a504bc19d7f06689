"""What kernels reach of a data sheet: the fitted effects, and a device filled with them."""
