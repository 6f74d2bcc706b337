//! Bodies for partition tables, probes and the FAT emitter.
