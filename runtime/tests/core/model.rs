//! Random events, restarts and steps of the clock against a simple model of each limit.
