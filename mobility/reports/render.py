"""Reports: a notebook, run in a new kernel and stored as notebook, HTML page and JSON document."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import functools
import itertools
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from mobility import errors, tables
from mobility.base.options import Strict, validate
from mobility.base.progress import first_page_listener, progress_bar
from mobility.documents import of_session
from mobility.documents.exercise_documents import documents_of
from mobility.errors import BadInputError, MobilityError, ReportError
from mobility.reports import warm_kernels
from mobility.reports.exercise_page import page_of
from mobility.reports.trial_player import embedded
from mobility.sessions.files import open_private, replace_folder, scratch, write_json, writing
from mobility.sessions.reports import ReportOnPeople, find_notebook, page_files

if TYPE_CHECKING:
    from mobility.sessions.stored_session import StoredSession

logger = logging.getLogger(__name__)

IMAGES = "images"

TRIAL = "trial"
"""Tag of the cell that a page replaces with the player of the recording."""

SECTIONS = "sections"
"""Tag of a cell that shows several sections, as :func:`mobility.reports.page.show` does."""

CLIENT_CELL = "client"
"""Tag of the cell that makes the page for the client, and does not appear on other pages."""

KERNEL_LOG = "kernel.log"

CELL_TIMEOUT_S = 600
"""Longest time that one cell of a report may take."""

_FRONT = "<section class='front' aria-label='First page'>"

_TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


def render_report(
    session: StoredSession,
    *,
    parameters: Mapping[str, Any] | None = None,
    faces: bool = False,
) -> dict[str, Path]:
    """Render the report of an analysed session.

    The notebook of its exercise is run in a new kernel of the same interpreter. The report replaces
    an earlier report completely, or not at all.

    Parameters
    ----------
    session
        An analysed session.
    parameters
        Parameters of the notebook, besides those that name the session.
    faces
        Whether faces and surroundings are shown rather than blurred.

    Returns
    -------
    dict
        ``"html"``, ``"client"`` (the page for the client), ``"notebook"`` and ``"json"``: paths of
        the finished files in ``<reports>/<session_id>/``. For repetitions, there are also
        ``images/{left,right,front}.png``.

    Raises
    ------
    BadInputError
        The notebook does not have such a parameter; in this case, nothing is run.
    ReportError
        A cell fails; the message contains the error of the cell.
    """
    session = session.read_once()
    exercise = session.record.kind
    extra = {"images": IMAGES} if exercise.has("report") else {}

    document: dict[str, Any] = {}

    def embedded_trial() -> Mapping[str, str]:
        document.update(documents_of(exercise).report(session))
        return embedded(session, faces=faces)

    def write_document(folder: Path) -> None:
        write_json(folder / f"{exercise.slug}.json", document | page_of(exercise).pictures(folder))

    folder = session.report_folder
    # The notebook opens the demo itself, whose folder is not a store.
    which = {"session_id": "", "exercise": exercise.slug} if exercise.has("report") else {}
    if not session.store.read_only:
        which = {"store": relative(session.store.path, folder), "session_id": session.id}
    return render_notebook(
        find_notebook(exercise.table["notebook"]),
        folder,
        name=exercise.slug,
        title=of_session.title(session),
        parameters={**which, **extra, **({"faces": True} if faces else {}), **(parameters or {})},
        finish=write_document,
        trial=embedded_trial,
    )


def check_free(folder: Path, kind: ReportOnPeople) -> None:
    """Raise an error if a folder contains anything but an earlier report of this kind."""
    ours = (folder / f"{kind.name}.ipynb").is_file()
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder}: is a file; name a new or empty folder")
    if folder.exists() and not ours and any(folder.iterdir()):
        raise BadInputError(f"{folder}: contains other files; name a new or empty folder")


def render_notebook(
    notebook: Path,
    folder: Path,
    *,
    name: str,
    title: str,
    parameters: Mapping[str, Any],
    begin: Callable[[Path], None] | None = None,
    finish: Callable[[Path], None] | None = None,
    trial: Callable[[], Mapping[str, str]] | None = None,
    client: bool = False,
) -> dict[str, Path]:
    """Run a notebook, and store its output in a folder that appears only when it is complete.

    Parameters
    ----------
    notebook
        A notebook with a cell tagged ``parameters``.
    folder
        Folder for the report; an earlier report there is replaced. The kernel runs in a folder next
        to it, so relative paths are valid in both.
    name
        Name of the files without their endings.
    title
        Title of the HTML page.
    parameters
        Values for the parameters of the notebook.
    begin, finish
        Called with the unfinished folder before and after the run, to add files.
    trial
        Makes the parts of :func:`mobility.reports.trial_player.embedded`. If it is passed, the page
        has headings that open, and there is a page for the client. The client's page comes from the
        cell tagged :data:`CLIENT_CELL`; without such a cell it is only the first page.
    client
        Whether to make a page for the client even if the page plays no recording.

    Returns
    -------
    dict
        ``"html"``, ``"notebook"`` and ``"json"``: paths in `folder`; and ``"client"`` if there is a
        first page. The JSON document exists if `finish` writes it.

    Raises
    ------
    BadInputError
        For parameters that do not fit, before a kernel is started.
    ReportError
        If a cell fails.
    StorageError
        If the folder cannot be written.
    """
    folder = Path(folder).absolute()
    with contextlib.ExitStack() as until_done:
        # First, as its process imports while this one does.
        server = until_done.enter_context(warm_kernels.kernel_server())
        values = check_parameters(notebook, parameters)
        unfinished = until_done.enter_context(
            replace_folder(folder, what=f"the report in {folder}")
        )
        if begin is not None:
            begin(unfinished)
        with ThreadPoolExecutor(max_workers=2) as beside:  # the kernel is a process of its own
            beside.submit(_exporter)
            pending = None if trial is None else beside.submit(trial)
            tell = first_page_listener()

            def show(first: Any) -> None:
                beside.submit(_show_first_page, tell, first, title)

            node = _run_notebook(notebook, unfinished, values, server, show if tell else None)
        parts = None if pending is None else pending.result()
        with writing(folder):
            import nbformat

            nbformat.write(node, unfinished / f"{name}.ipynb")
            node, for_client = _apart(node)
            page = to_html(node, title=title, trial=parts)
            (unfinished / f"{name}.html").write_text(page, encoding="utf-8")
            if client or trial is not None:
                first = to_html(for_client if for_client.cells else _first_page(node), title=title)
                page_files(unfinished, name)["client"].write_text(first, encoding="utf-8")
        if finish is not None:
            finish(unfinished)
    files = page_files(folder, name)
    return {kind: files[kind] for kind in files if kind != "client" or client or trial is not None}


def check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Check values against the ``parameters`` cell of a notebook; nothing is run.

    The names, types and defaults come from the cell (``session_id: str = ""``).
    """
    fields: dict[str, Any] = {}
    for name, stated in _stated_parameters(str(notebook)).items():
        fields[name] = (_TYPES.get(stated, Any), None)
    model: type[BaseModel] = create_model("NotebookParameters", __base__=_Parameters, **fields)
    valid = validate(model, parameters, what=f"parameters of {Path(notebook).name}")
    return {name: getattr(valid, name) for name in parameters}


class _Parameters(Strict):
    """Base of the parameters of a notebook: exact types, because they become Python source."""

    model_config = ConfigDict(strict=True)


def _show_first_page(listener: Callable[[str], None] | None, first: Any, title: str) -> None:
    """Show a first page; a failure to show it does not fail the report."""
    if listener is not None:
        try:
            listener(to_html(first, title=title))
        except Exception:
            logger.exception("the first page could not be shown")


def to_html(node: Any, *, title: str, trial: Mapping[str, str] | None = None) -> str:
    """Convert a notebook that was run to one self-contained HTML page without code.

    Parameters
    ----------
    node
        The notebook, as `nbformat` reads it.
    title
        Title of the page.
    trial
        Parts of :func:`mobility.reports.trial_player.embedded`. The recording then plays in its
        cell, and sections below second-level headings can be folded.
    """
    html: str
    resources = {
        "metadata": {"name": title},
        "trial": trial,
        "purpose": tables.sentence("warnings.export.purpose"),
    }
    node = _laid_out(node, folds=trial is not None)
    with _exporting:
        html, _ = _exporter().from_notebook_node(node, resources=resources)
    return html


_exporting = threading.Lock()


@functools.cache
def _exporter() -> Any:
    with _quick_import():
        from nbconvert import HTMLExporter
    return HTMLExporter(
        template_name="basic",
        extra_template_paths=[str(Path(__file__).parent)],
        template_file="report.html.j2",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )


def _apart(node: Any) -> tuple[Any, Any]:
    """Separate the cell that makes the page for the client from all other cells."""
    for_professional, for_client = copy.copy(node), copy.copy(node)
    for_professional.cells = [cell for cell in node.cells if not _has(CLIENT_CELL, cell)]
    for_client.cells = [cell for cell in node.cells if _has(CLIENT_CELL, cell)]
    return for_professional, for_client


def _first_page(node: Any) -> Any:
    """Keep the cells before the first second-level heading."""
    page = copy.deepcopy(node)
    page.cells = list(
        itertools.takewhile(lambda cell: not (_heading(cell) or _has(SECTIONS, cell)), page.cells)
    )
    if page.cells and not _has(CLIENT_CELL, page.cells[0]):
        page.cells[0].metadata["before"] = _FRONT
        page.cells[-1].metadata["after"] = "</section>"
    return page


def _laid_out(node: Any, *, folds: bool) -> Any:
    """Separate the first page from the sections, which can be opened if the page `folds` them."""
    page = _first_page(node)
    sections = list(_cells_of_sections(copy.deepcopy(node.cells[len(page.cells) :])))
    page.cells += _folded(sections) if folds else sections
    return page


def _first_page_shown(notebook: Any, show: Callable[[Any], None]) -> Callable[..., None]:
    """Return a callback for nbclient that shows the first page once its cells have run."""
    page = _first_page(notebook)
    awaited = {cell.id: cell for cell in page.cells if cell.cell_type == "code"}

    def executed(cell: Any, execute_reply: Any, **_: Any) -> None:
        if execute_reply["content"]["status"] == "ok" and cell.id in awaited:
            awaited.pop(cell.id).outputs = copy.deepcopy(cell.outputs)
            if not awaited:
                show(page)

    return executed


def _folded(cells: list[Any]) -> list[Any]:
    """Make the sections below second-level headings foldable."""
    end = ""
    for cell in cells:
        if title := _heading(cell):
            cell.source = cell.source.partition("\n")[2]
            is_open = " open" if _has(TRIAL, cell) else ""
            cell.metadata["before"] = (
                f"{end}<details{is_open}><summary><h2>{escape(title)}</h2>"
                "</summary><div class='inside'>"
            )
            end = "</div></details>"
        elif _has(TRIAL, cell):
            player = "<div class='live' id='mobility-trial'></div>"
            cell.metadata |= {"before": f"{player}<div class='still'>", "after": "</div>"}
    if cells:
        cells[-1].metadata["after"] = cells[-1].metadata.get("after", "") + end
    return cells


def _cells_of_sections(cells: list[Any]) -> Iterator[Any]:
    """Turn each section that a cell shows into separate cells: heading and content."""
    for cell in cells:
        if not _has(SECTIONS, cell):
            yield cell
            continue
        for number, output in enumerate(cell.outputs):
            part = copy.copy(cell)
            part.id, part.outputs = f"{cell.id}-{number}", [output]
            part.metadata = output.get("metadata", type(cell)())
            if heading := output.get("data", {}).get("text/markdown"):
                part.cell_type, part.source = "markdown", heading
            yield part


def _has(tag: str, cell: Any) -> bool:
    return tag in cell.metadata.get("tags", [])


def _heading(cell: Any) -> str:
    """Return the second-level heading at the start of a cell; empty if there is none."""
    first = cell.source.partition("\n")[0]
    return first[3:].strip() if cell.cell_type == "markdown" and first.startswith("## ") else ""


def _stated_parameters(notebook: str) -> dict[str, str]:
    with _quick_import():
        import papermill

    logging.getLogger("papermill").setLevel(logging.WARNING)
    return {
        name: str(stated["inferred_type_name"])
        for name, stated in papermill.inspect_notebook(notebook).items()
    }


def _run_notebook(
    notebook: Path,
    folder: Path,
    parameters: Mapping[str, Any],
    server: Any,
    show: Callable[[Any], None] | None,
) -> Any:
    """Run a notebook in a fresh kernel of this interpreter, working in `folder`.

    `show` is called with the first page as soon as its cells have run.
    """
    with _quick_import():
        import nbformat
        import papermill
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

    read = nbformat.read(notebook, as_version=4)
    # Papermill adds a cell with the given parameters.
    cells = sum(cell.cell_type == "code" for cell in read.cells) + bool(parameters)
    page_shown = None if show is None else _first_page_shown(read, show)
    with (
        scratch("kernel") as place,
        progress_bar("drawing the report", total=cells, unit="part") as bar,
    ):

        def executed(**reply: Any) -> None:
            bar.update()
            if page_shown is not None:
                page_shown(**reply)

        try:
            node = _with_free_loop(
                functools.partial(
                    papermill.execute_notebook,
                    read,
                    None,
                    dict(parameters),
                    kernel_name="python3",
                    language="python",
                    progress_bar=False,
                    execution_timeout=CELL_TIMEOUT_S,
                    kernel_manager_class=_kernel_manager(str(place), server),
                    resources={"metadata": {"path": str(folder)}},
                    on_cell_executed=executed,
                    # The kernel has nothing to save.
                    shutdown_kernel="immediate",
                )
            )
        except PapermillExecutionError as error:
            raise _cell_error(notebook, error.ename, error.evalue) from None
        except CellTimeoutError:
            raise ReportError(
                f"{notebook.name}: a cell took longer than {CELL_TIMEOUT_S} s"
            ) from None
        except (DeadKernelError, CellExecutionError, RuntimeError) as error:
            log = place / KERNEL_LOG
            output = log.read_text(errors="replace").strip() if log.is_file() else ""
            last = f" ({output.splitlines()[-1]})" if output else ""
            failed = ReportError(
                f"{notebook.name}: the kernel did not run it: {_one_line(error)}{last}"
            )
            failed.retryable = isinstance(error, DeadKernelError)
            raise failed from None
    _forget_the_run(node)
    return node


def _with_free_loop(work: Callable[[], Any]) -> Any:
    """Do work that runs an event loop, also in a thread of a server.

    Jupyter stores its event loop in the context. A thread of a server inherits the context with the
    loop of the server, which is busy in another thread.
    """
    from jupyter_core.utils import ensure_event_loop

    def with_new_loop() -> Any:
        with contextlib.closing(ensure_event_loop()):
            return work()

    try:
        asyncio.get_running_loop()  # of this thread, as in a notebook, where Jupyter takes another
    except RuntimeError:
        if ensure_event_loop().is_running():
            return contextvars.Context().run(with_new_loop)
    return work()


def _cell_error(notebook: Path, name: str, message: str) -> MobilityError:
    """Convert the error of a cell to one of this package; keep the class if it already was one."""
    error_class = getattr(errors, name, None)
    if isinstance(error_class, type) and issubclass(error_class, MobilityError):
        cell_error: MobilityError = error_class(_one_line(message))
        return cell_error
    return ReportError(f"{notebook.name}: a cell failed with {name}: {_one_line(message)}")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _forget_the_run(node: Any) -> None:
    """Drop papermill's notes about the run: times, and paths of this machine."""
    noted = node.metadata.pop("papermill", {})
    node.metadata["papermill"] = {"parameters": noted.get("parameters", {})}
    for index, cell in enumerate(node.cells):
        for key in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = f"injected-parameters-{index}"


@functools.cache
def _manager_classes() -> tuple[type, type]:
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(KernelSpecManager):
        """Provides one kernel, this interpreter, whatever kernels are installed."""

        scratch = ""

        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="Python 3 (ipykernel)",
                language="python",
                # Start-up files and settings of the user must not change a report.
                env={"IPYTHONDIR": self.scratch, "PYTHONSAFEPATH": "1"},
            )

    return ThisInterpreter, AsyncKernelManager


def _kernel_manager(scratch: str, server: Any) -> type:
    spec_manager, base = _manager_classes()

    class Manager(base):  # type: ignore[misc, valid-type]
        """Starts the kernel of `spec_manager`, with all its files in the scratch folder."""

        def __init__(self, **kwargs: Any) -> None:
            kernels = spec_manager()
            kernels.scratch = scratch
            super().__init__(kernel_spec_manager=kernels, **kwargs)
            self._place = Path(scratch)
            self.connection_file = str(self._place / "kernel.json")
            if sys.platform != "win32":
                # Sockets in the file system, as others could take or listen to a port.
                self.transport = "ipc"

        async def start_kernel(self, **kwargs: Any) -> None:
            self.provisioner = warm_kernels.provisioner(self, server)
            with open_private(self._place / KERNEL_LOG, "wb") as log:
                await super().start_kernel(**kwargs, stdout=log, stderr=log)

        def client(self, **kwargs: Any) -> Any:
            """Return a client that removes the kernel's key file once both have read it."""
            client = super().client(**kwargs)
            wait = client.wait_for_ready

            async def wait_for_ready(**options: Any) -> None:
                await wait(**options)
                Path(self.connection_file).unlink(missing_ok=True)

            client.wait_for_ready = wait_for_ready
            return client

    return Manager


_NEEDLESS = ("rfc3987_syntax", "papermill.abs", "papermill.adl", "papermill.s3")


@contextlib.contextmanager
def _quick_import() -> Iterator[None]:
    """Import notebook libraries without slow optional modules.

    `rfc3987_syntax` builds a grammar for formats of `jsonschema`; the modules of `papermill` read
    notebooks from cloud storage.
    """
    left_out = [name for name in _NEEDLESS if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in left_out:
            sys.modules.pop(name, None)


def relative(path: Path, start: Path) -> str:
    """Return `path` relative to `start`, so that a report can be moved with its data."""
    try:
        return Path(os.path.relpath(path.absolute(), start.absolute())).as_posix()
    except ValueError:  # on another drive
        return str(path.absolute())
