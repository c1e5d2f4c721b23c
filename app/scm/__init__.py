"""Reading what people keep in files, on web servers and in git: the places locations point to."""
