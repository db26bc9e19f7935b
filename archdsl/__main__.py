"""`archdsl` and `python -m archdsl`."""

from archdsl.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
