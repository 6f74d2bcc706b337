//! Bodies for JSON5, INI and the kernel command line.
