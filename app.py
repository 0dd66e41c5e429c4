"""Start the web app: settings in, server out. `python -m catvton serve` does the same and takes options."""

from __future__ import annotations

import sys

from catvton.errors import SettingsError


def main() -> int:
    """Serve until stopped. Returns 0 after a clean end, 2 when a setting or the address cannot be used."""
    from catvton.service.logs import configure
    from catvton.settings import Settings
    from catvton.web import serve

    try:
        settings = Settings()
        configure(level=settings.log_level, form=settings.log_format)
        serve(settings)
    except SettingsError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"Cannot serve on {settings.host}:{settings.port}: {error}")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
