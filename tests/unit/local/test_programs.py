"""What a killed runner leaves behind."""

from __future__ import annotations

from pathlib import Path

from cryptocdc_local.platform import PlatformSettings
from cryptocdc_local.programs import stop_left_over


def targets(settings: PlatformSettings) -> set[str]:
    return {path.stem for path in settings.server_targets.parent.iterdir()}


def test_stopped_programs_are_removed_from_prometheus_targets(tmp_path: Path) -> None:
    settings = PlatformSettings(tmp_path)
    settings.server_targets.parent.mkdir(parents=True)
    for file in (settings.targets("majors_sim"), settings.targets("others_sim"), settings.server_targets):
        file.write_text("[]")
    stop_left_over(settings, "majors_sim")
    assert targets(settings) == {"others_sim", settings.server_targets.stem}
    stop_left_over(settings)
    assert targets(settings) == {settings.server_targets.stem}
