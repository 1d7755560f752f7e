//! A file tree in memory: inodes, names, hard links, xattrs, whiteouts, and the changes of a layer
