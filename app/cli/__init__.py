"""The command line `callboard`: one module for each command, loaded when it is asked for."""
