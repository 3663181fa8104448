"""`make openapi`: write docs/openapi.json."""

import sys

from local.openapi.document import PATH, text

PATH.write_text(text())
sys.stdout.write(f"{PATH}\n")
