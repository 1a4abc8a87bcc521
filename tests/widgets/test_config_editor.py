"""The editor of display settings: choosing, undoing, saving, and who saved meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from mobility.errors import BadInputError
from mobility.widgets import ConfigEditor


@pytest.fixture
def session(analysed):
    return analysed(exercise="Joint Angle Mobility", joints=["knee", "hip"])


@pytest.fixture
def editor(session):
    return ConfigEditor(session)


def test_only_the_angles_of_the_session_can_be_chosen(editor):
    assert [angle["key"] for angle in editor.angles] == [
        *("knee_angle", "left_knee_angle", "right_knee_angle"),
        *("hip_angle", "left_hip_angle", "right_hip_angle"),
    ]
    assert editor.angles[1]["label"] == "Knee, left"
    assert (editor.shown, editor.comments, editor.revision) == ([], {}, 0)
    assert not editor.unsaved


def test_what_is_saved_is_stored_in_order(editor, session, ask):
    editor.shown = ["right_hip_angle", "knee_angle"]
    editor.comments = {"knee_angle": "Deep."}
    assert editor.unsaved
    ask(editor, "save")
    assert editor.notice["kind"] == "done"
    assert session.config() == {
        "shown_angles": ["right_hip_angle", "knee_angle"],
        "comments": {"knee_angle": "Deep."},
    }
    assert not editor.unsaved
    again = ConfigEditor(session)
    assert (again.shown, again.comments) == (editor.shown, editor.comments)
    assert again.revision == editor.revision == 1


def test_undo_goes_back_change_by_change_and_is_answered_in_order(editor, session, ask):
    editor.shown = ["knee_angle"]
    editor.comments = {"knee_angle": "a"}
    ask(editor, "change", shown=["knee_angle", "hip_angle"], comments=editor.comments, number="a 1")
    assert (editor.shown, editor.answered) == (["knee_angle", "hip_angle"], "a 1")
    for number, shown, comments in (
        ("a 2", ["knee_angle"], {"knee_angle": "a"}),
        ("a 3", ["knee_angle"], {}),
        ("a 4", [], {}),
        ("a 5", [], {}),
    ):
        ask(editor, "undo", number=number)
        assert (editor.shown, editor.comments, editor.answered) == (shown, comments, number)
    assert not editor.can_undo
    assert not editor.unsaved
    # After saving it is a change to save.
    editor.shown = ["knee_angle"]
    editor.save()
    editor.undo()
    assert editor.unsaved
    editor.save()
    assert session.config()["shown_angles"] == []


def test_faults_stand_at_their_field_and_nothing_is_stored(editor, session, ask):
    ask(editor, "__init__")
    editor._handle_custom_msg("nonsense", [])
    assert editor.notice == {}
    editor.shown = ["knee_angle", "kne_angle"]
    editor.comments = {"hip_angle": "x" * 2001}
    ask(editor, "save")
    assert editor.notice["kind"] == "error"
    assert "did you mean 'knee_angle'" in editor.errors["shown_angles"][0]
    assert editor.errors["comments"] == ["'hip_angle': at most 2000 characters (got 2001)"]
    assert session.stored_config() is None
    with pytest.raises(BadInputError):
        editor.save()
    # A new change takes the faults away.
    editor.shown = ["knee_angle"]
    assert editor.errors == {}
    session.delete()
    ask(editor, "save")
    assert editor.notice["kind"] == "error"
    assert "Traceback" not in editor.notice["text"]


def test_what_somebody_else_saved_is_not_overwritten_unasked(session, ask):
    one, other = ConfigEditor(session), ConfigEditor(session)
    one.shown, one.comments = ["knee_angle"], {"knee_angle": "one's"}
    other.shown, other.comments = ["hip_angle"], {"hip_angle": "the other's"}
    ask(one, "save")
    ask(other, "save")
    assert (one.notice["kind"], other.notice["kind"]) == ("done", "conflict")
    assert "somebody has saved these settings" in other.notice["text"]
    assert session.config() == {"shown_angles": ["knee_angle"], "comments": one.comments}
    # What the other wrote is still there, and only said so it goes over it.
    assert (other.shown, other.comments) == (["hip_angle"], {"hip_angle": "the other's"})
    assert other.unsaved
    ask(other, "save", force=True)
    ask(one, "save")
    assert one.notice["kind"] == "conflict"
    assert session.config()["shown_angles"] == ["hip_angle"]
    ask(one, "reload")
    assert (one.shown, one.comments) == (["hip_angle"], {"hip_angle": "the other's"})


def test_curves_are_those_of_the_analysis(editor, session, ask, sent, monkeypatch):
    messages = sent(editor)
    ask(editor, "curves")
    angles = session.angles()
    assert set(messages[0]["of"]) == {"knee", "hip"}
    assert messages[0]["time"] == pytest.approx(angles["time"].values, abs=1e-4)
    truth = angles["knee_flexion"].sel(side="right").values
    drawn = np.array(messages[0]["of"]["knee"]["right"], dtype=float)
    assert drawn == pytest.approx(truth, abs=0.051, nan_ok=True)
    # Long ones are thinned, and gaps are null.
    monkeypatch.setattr("mobility.widgets.config_editor.MOST_POINTS", 100)
    angles["knee_flexion"][{"time": slice(0, 50)}] = float("nan")
    monkeypatch.setattr(session, "shown_angles", lambda: angles)
    ask(editor, "curves")
    assert len(messages[1]["time"]) <= 100
    assert messages[1]["of"]["knee"]["left"][0] is None
    assert messages[1]["of"]["knee"]["left"][-1] is not None


def test_a_session_without_analysis_says_so_and_other_exercises_have_no_editor(analysed, ask, sent):
    editor = ConfigEditor(
        analysed("s2", exercise="Joint Angle Mobility", stages={}, state="created")
    )
    messages = sent(editor)
    ask(editor, "curves")
    assert messages == []
    assert "analyse it first" in editor.without_curves
    assert "Knee, both sides" in editor.static_html()
    with pytest.raises(BadInputError, match="Overhead Squat"):
        ConfigEditor(analysed())


def test_a_saved_notebook_shows_the_choice_and_the_curves(still, editor):
    editor.shown = ["knee_angle"]
    editor.comments = {"knee_angle": "<b>bold</b>"}
    html = still(editor)
    assert "Knee, both sides: &lt;b&gt;bold&lt;/b&gt;" in html
    assert "data:image/png;base64," in html
