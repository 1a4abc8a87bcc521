"""Run a notebook as a job of jupyter-scheduler, as JupyterLab's dialog does.

usage: python notebook_job.py ROOT NOTEBOOK DB NAME=VALUE ...; prints the paths of what came out.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

warnings.simplefilter("ignore")


def main() -> int:
    from jupyter_scheduler.environments import CondaEnvironmentManager
    from jupyter_scheduler.models import CreateJob
    from jupyter_scheduler.orm import create_tables
    from jupyter_scheduler.scheduler import Scheduler

    root, notebook, database, *given = sys.argv[1:]
    url = f"sqlite:///{database}"
    create_tables(url)
    environments = CondaEnvironmentManager()
    scheduler = Scheduler(root_dir=root, environments_manager=environments, db_url=url)
    job = scheduler.create_job(
        CreateJob(
            name="report",
            input_uri=notebook,
            runtime_environment_name=environments.list_environments()[0].name,
            runtime_environment_parameters={},
            output_formats=["ipynb", "html"],
            parameters=dict(pair.split("=", 1) for pair in given),
        )
    )
    while True:
        state = scheduler.get_job(job)
        status = str(getattr(state.status, "value", state.status))
        # One that is just ending may be said to be stopped.
        if status in ("COMPLETED", "FAILED"):
            break
        time.sleep(0.2)
    paths = scheduler.get_staging_paths(state)
    sys.stdout.write(
        json.dumps({"status": status, "why": state.status_message, "paths": paths}) + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
