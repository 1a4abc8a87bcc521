"""Sessions put together: the films of a visit, the sessions of a cohort."""
