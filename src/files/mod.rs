//! Files that this tool writes: whole or not at all, where they go, and a copy of what was there.

pub(crate) mod atomic_file;
pub(crate) mod backup;
pub(crate) mod place;
