"""Widgets for JupyterLab, which show and correct sessions, and add videos."""

from mobility.widgets.config_editor import ConfigEditor
from mobility.widgets.session_browser import SessionBrowser
from mobility.widgets.trial_viewer import TrialViewer
from mobility.widgets.upload_form import UploadForm

__all__ = ["ConfigEditor", "SessionBrowser", "TrialViewer", "UploadForm"]
