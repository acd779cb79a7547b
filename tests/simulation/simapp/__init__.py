"""The app of the simulation: a package, as its later versions are packages to be deployed."""
