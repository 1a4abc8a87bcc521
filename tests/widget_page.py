"""A notebook with every widget, on a store made from the demo: for the browser tests."""

from __future__ import annotations

from pathlib import Path

import nbformat
from demo_sessions import copy_of, put_result, taken_as_current
from nbclient import NotebookClient

import mobility
from mobility.store import Session, Store

CELLS = (
    (
        "import mobility as mb\n"
        "from mobility.widgets import ConfigEditor, SessionBrowser, TrialViewer, UploadForm\n"
        'store = mb.Store("sessions", reports="reports")'
    ),
    'ConfigEditor(store.session("joints"))',
    'TrialViewer(store.session("squat"))',
    "browser = SessionBrowser(store)\nbrowser",
    (
        "form = UploadForm(store, most_bytes=2_000_000)\n"
        "form.on_created(lambda session: browser.refresh())\n"
        "form"
    ),
)


def make_joint_mobility(session: Session) -> None:
    """Put movements and metrics of single joints in the place of those of the squat."""
    given, joints = (session.fitted(), session.measured_angles()), tuple(session.record.joints)
    put_result(session, "repetitions", mobility.joint_movements(*given, joints=joints))
    put_result(session, "metrics", mobility.joint_mobility(*given, joints=joints))


def make_page(demo: Path, folder: Path) -> Path:
    """Write a notebook that ran, and its store, into `folder`; gives the path of the notebook."""
    store = Store(folder / "sessions")
    sessions = {
        "squat": {"session_name": "Overhead squat, first visit"},
        "joints": {"exercise": "Joint Angle Mobility", "session_name": "Knee and hip, first visit"},
        "old": {"session_name": "An old one", "user_id": "p07"},
    }
    for name, changed in sessions.items():
        taken_as_current(copy_of(demo, store, name, **changed))
    make_joint_mobility(store.session("joints"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3",
    }  # fmt: skip
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, resources=where, store_widget_state=False).execute()
    path = folder / "widgets.ipynb"
    nbformat.write(notebook, path)
    return path
