"""`make vendor`: the libraries of the console, unpacked from npm as VENDOR.toml lists them.
For maintainers; needs npm."""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from local.template import ROOT

FOLDER = ROOT / "console" / "vendor"


class Library(NamedTuple):
    """`file` of an npm package, vendored as `to`; `imported` is the name that others import."""

    to: str
    package: str
    version: str
    licence: str
    file: str
    imported: str
    sha256: str


def libraries() -> list[Library]:
    listed = tomllib.loads((FOLDER / "VENDOR.toml").read_text())
    return [Library(to, **of) for to, of in listed.items()]


def make_relative(text: str, files: dict[str, str]) -> str:
    """Replace imports by a package's name, for which a page would need an import map, which is an
    inline script."""
    for imported, to in files.items():
        text = re.sub(rf"""(from|import)\s*["']{re.escape(imported)}["']""", rf'\1"./{to}"', text)
    return re.sub(r"\s*//# sourceMappingURL=.*", "\n", text)


def main() -> None:
    listed = libraries()
    files = {library.imported: library.to for library in listed}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for library in listed:
            content = make_relative(_unpacked(library, folder), files).encode()
            (FOLDER / library.to).write_bytes(content)
            if (found := hashlib.sha256(content).hexdigest()) != library.sha256:
                wrong.append(f"{library.to}: sha256 is {found}")
    if wrong:
        sys.exit("VENDOR.toml names other sums:\n" + "\n".join(wrong))


def _unpacked(library: Library, folder: str) -> str:
    packed = subprocess.run(
        ["npm", "pack", "--silent", f"{library.package}@{library.version}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(Path(folder) / packed.stdout.strip()) as archive:
        member = archive.extractfile(f"package/{library.file}")
        assert member
        return member.read().decode()


if __name__ == "__main__":
    main()
