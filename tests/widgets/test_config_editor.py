"""The editor of display settings: choosing, undoing, saving, and who saved meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from mobility.errors import BadInputError, FieldError
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


def test_undo_goes_back_change_by_change(editor, ask):
    editor.shown = ["knee_angle"]
    editor.comments = {"knee_angle": "a"}
    editor.shown = ["knee_angle", "hip_angle"]
    for shown, comments in (
        (["knee_angle"], {"knee_angle": "a"}),
        (["knee_angle"], {}),
        ([], {}),
        ([], {}),
    ):
        ask(editor, "undo")
        assert (editor.shown, editor.comments) == (shown, comments)
    assert not editor.can_undo
    assert not editor.unsaved


def test_undo_after_saving_is_a_change_to_save(editor, session):
    editor.shown = ["knee_angle"]
    editor.save()
    editor.undo()
    assert editor.unsaved
    editor.save()
    assert session.config()["shown_angles"] == []


def test_faults_stand_at_their_field_and_nothing_is_stored(editor, session, ask):
    editor.shown = ["knee_angle", "kne_angle"]
    editor.comments = {"hip_angle": "x" * 2001}
    ask(editor, "save")
    assert editor.notice["kind"] == "error"
    assert "did you mean 'knee_angle'" in editor.errors["shown_angles"][0]
    assert editor.errors["comments"] == ["'hip_angle': at most 2000 characters (got 2001)"]
    assert session.stored_config() is None
    # A new change takes the faults away.
    editor.shown = ["knee_angle"]
    assert editor.errors == {}


def test_errors_reach_who_calls_from_python(editor):
    editor.shown = ["no_angle"]
    with pytest.raises(FieldError):
        editor.save()


def test_what_somebody_else_saved_is_not_overwritten_unasked(editor, session, ask):
    editor.shown = ["knee_angle"]
    session.save_config(shown_angles=["hip_angle"], comments={"hip_angle": "theirs"})
    ask(editor, "save")
    assert editor.notice["kind"] == "conflict"
    assert "somebody else has saved them" in editor.notice["text"]
    assert session.config()["shown_angles"] == ["hip_angle"]
    assert editor.shown == ["knee_angle"]
    assert editor.unsaved
    ask(editor, "reload")
    assert (editor.shown, editor.comments) == (["hip_angle"], {"hip_angle": "theirs"})
    editor.shown = ["left_knee_angle"]
    session.save_config(shown_angles=[])
    ask(editor, "save", force=True)
    assert session.config()["shown_angles"] == ["left_knee_angle"]


def test_two_open_editors_do_not_overwrite_each_other(session, ask):
    one, other = ConfigEditor(session), ConfigEditor(session)
    one.shown, one.comments = ["knee_angle"], {"knee_angle": "one's"}
    other.shown, other.comments = ["hip_angle"], {"hip_angle": "the other's"}
    ask(one, "save")
    ask(other, "save")
    assert (one.notice["kind"], other.notice["kind"]) == ("done", "conflict")
    assert session.config() == {"shown_angles": ["knee_angle"], "comments": one.comments}
    # What the other wrote is still there, and only said so it goes over it.
    assert (other.shown, other.comments) == (["hip_angle"], {"hip_angle": "the other's"})
    ask(other, "save", force=True)
    assert session.config()["shown_angles"] == ["hip_angle"]
    ask(one, "save")
    assert one.notice["kind"] == "conflict"
    assert session.config()["shown_angles"] == ["hip_angle"]


def test_curves_are_those_of_the_analysis(editor, session, ask, sent):
    messages = sent(editor)
    ask(editor, "curves")
    (curves,) = messages
    angles = session.angles()
    assert set(curves["of"]) == {"knee", "hip"}
    assert curves["time"] == pytest.approx(angles["time"].values, abs=1e-4)
    truth = angles["knee_flexion"].sel(side="right").values
    drawn = np.array(curves["of"]["knee"]["right"], dtype=float)
    assert drawn == pytest.approx(truth, abs=0.051, nan_ok=True)


def test_long_curves_are_thinned_and_gaps_are_null(editor, session, ask, sent, monkeypatch):
    monkeypatch.setattr("mobility.widgets.config_editor.MOST_POINTS", 100)
    angles = session.angles()
    angles["knee_flexion"][{"time": slice(0, 50)}] = float("nan")
    monkeypatch.setattr(session, "shown_angles", lambda: angles)
    messages = sent(editor)
    ask(editor, "curves")
    assert len(messages[0]["time"]) <= 100
    assert messages[0]["of"]["knee"]["left"][0] is None
    assert messages[0]["of"]["knee"]["left"][-1] is not None


def test_a_session_without_analysis_says_so(analysed, ask, sent):
    session = analysed("s2", exercise="Joint Angle Mobility", stages={}, state="created")
    editor = ConfigEditor(session)
    messages = sent(editor)
    ask(editor, "curves")
    assert messages == []
    assert "analyse it first" in editor.without_curves
    assert "Knee, both sides" in editor.static_html()


def test_other_exercises_have_no_editor(analysed):
    with pytest.raises(BadInputError, match="Overhead Squat"):
        ConfigEditor(analysed())


def test_a_session_deleted_meanwhile_is_said(editor, session, ask):
    session.delete()
    editor.shown = ["knee_angle"]
    ask(editor, "save")
    assert editor.notice["kind"] == "error"
    assert "Traceback" not in editor.notice["text"]


def test_a_saved_notebook_shows_the_choice_and_the_curves(still, editor):
    editor.shown = ["knee_angle"]
    editor.comments = {"knee_angle": "<b>bold</b>"}
    html = still(editor)
    assert "Knee, both sides: &lt;b&gt;bold&lt;/b&gt;" in html
    assert "data:image/png;base64," in html


def test_unknown_requests_do_nothing(editor, ask):
    ask(editor, "__init__")
    editor._handle_custom_msg("nonsense", [])
    assert editor.notice == {}


def test_what_the_page_changes_is_answered_in_order(editor, ask):
    ask(editor, "change", shown=["knee_angle"], comments={}, number="a 1")
    ask(editor, "change", shown=["knee_angle"], comments={"knee_angle": "x"}, number="a 2")
    ask(editor, "undo", number="a 3")
    assert (editor.shown, editor.comments, editor.answered) == (["knee_angle"], {}, "a 3")
    ask(editor, "undo", number="a 4")
    assert (editor.shown, editor.can_undo) == ([], False)
