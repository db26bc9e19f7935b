"""`archdsl` and `python -m archdsl`."""

import gc

# A start makes many objects and no garbage; at the usual threshold of 700 a tenth of it would be collection.
gc.set_threshold(200_000, 20, 20)

from archdsl.cli.signals import end_at_once  # noqa: E402

end_at_once()

from archdsl.cli.app import main  # noqa: E402

__all__ = ["main"]

if __name__ == "__main__":
    main()
