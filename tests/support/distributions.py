"""Installed distributions, as installers leave them behind: a folder of lists beside the files."""

from pathlib import Path


def install(site: Path, name: str, *files: str, listed: str = "RECORD") -> None:
    """Put a distribution that owns these files into a folder; `listed` names the list."""
    lists = site / f"{name.replace('-', '_')}-1.0.dist-info"
    lists.mkdir()
    (lists / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    rows = [f"{file},," for file in files] if listed == "RECORD" else sorted({file.split("/")[0] for file in files})
    (lists / listed).write_text("\n".join(rows) + "\n")
