"""The way in: `callboard`, or `python -m app`."""

from app.cli.main import callboard


def main() -> None:
    """Run the command line and exit with its code."""
    callboard(prog_name="callboard")


if __name__ == "__main__":
    main()
