//! The folder of one run: made anew, written atomically.
