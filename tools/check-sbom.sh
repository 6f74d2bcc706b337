#!/bin/bash
# Lets others judge bills of materials: tools/check-sbom.sh SPDX.json CYCLONEDX.json
# The validators come from PyPI into a virtual environment, once: spdx-tools knows SPDX 2.3, cyclonedx-python-lib brings
# the schemas of CycloneDX.
set -euo pipefail
venv=$(cd "$(dirname "$0")/.." && pwd)/target/sbom
if [ ! -e "$venv/done" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'spdx-tools==0.8.5' 'cyclonedx-python-lib[json-validation]==11.12.0'
  touch "$venv/done"
fi
"$venv/bin/python" - "$@" <<'PY'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

spdx, cyclonedx = sys.argv[1:]
faults = [message.validation_message for message in validate_full_spdx_document(parse_file(spdx))]
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(cyclonedx, encoding="utf-8").read())
if fault is not None:
    faults.append(str(fault))
for fault in faults:
    print(fault, file=sys.stderr)
sys.exit(1 if faults else 0)
PY
