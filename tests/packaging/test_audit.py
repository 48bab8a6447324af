"""build/dev.py audit: all pins, as pip-audit gets them. The lists of weaknesses need a network."""

import re
import subprocess
import sys

from tests.packaging.made_up import load


def test_pip_audit_takes_every_pin_of_every_system(tmp_path):
    audit, requirements = load("devkit.audit"), load("devkit.requirements")
    files = sorted(requirements.FOLDER.glob("*.txt"))
    pins = {
        line.partition(";")[0].strip() for file in files for line in requirements.read_pins(file)
    }
    counted = 0
    for path in audit.write_lists(files, tmp_path):
        command = [*audit.audit_command(sys.executable, path), "--dry-run"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (count,) = re.findall(r"would have audited (\d+) packages", done.stderr)
        counted += int(count)
    assert counted == len(pins)
    assert any(pin.startswith("pywin32-ctypes==") for pin in pins)


def test_pins_of_one_package_for_different_pythons_are_in_different_lists(tmp_path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text(
        "a==1 ; x \\\n    --hash=sha256:1\na==2 ; y \\\n    --hash=sha256:2\nb==1 --hash=sha256:3\n"
    )
    other.write_text("a==1 \\\n    --hash=sha256:1\n")
    lists = load("devkit.audit").write_lists([one, other], tmp_path)
    assert [path.read_text() for path in lists] == [
        "a==1 --hash=sha256:1\nb==1 --hash=sha256:3\n",
        "a==2 --hash=sha256:2\n",
    ]
