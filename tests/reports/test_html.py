from __future__ import annotations

from mobility.reports.html import joined


def test_what_is_imported_comes_first_and_once(tmp_path):
    (tmp_path / "parts").mkdir()
    for name, text in (
        (
            "page.js",
            'import shape from "./parts/shape.js";\nimport { one } from "./parts/one.js";\n',
        ),
        ("parts/shape.js", 'import {\n  one,\n} from "./one.js";\n\nexport default shape;\n'),
        ("parts/one.js", "export const one = 1;\nexport function two() {}\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    expected = "const one = 1;\nfunction two() {}\n\nexport default shape;\n\n"
    assert joined(tmp_path / "page.js") == expected
