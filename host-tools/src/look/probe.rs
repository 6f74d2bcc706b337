//! The verb `probe`: what is on a file or a device.
//!
//! The answer is one JSON document with and without `--json`; keys of things that are not there are absent. Sizes
//! and starts are bytes, types are spelled as sfdisk spells them, UUIDs and labels as blkid does.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use genpack_core::disk::mbr::logical::Logical;
use genpack_core::disk::{gpt, mbr};
use genpack_core::fs::foreign;
use genpack_core::fs::probe::{Filesystem, probe};
use genpack_core::kernel::image::{Format, HEAD_LEN, KernelImage, detect};
use genpack_core::source::{ReadAt, ReadError};
use serde_json::{Map, Value, json};

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::ui::Ui;

/// Prints what is on the file.
///
/// # Errors
/// When the file is missing, is neither a file nor a block device, or cannot be read.
pub fn run(ctx: &Ctx, path: &Path) -> Result<()> {
    let path = ctx.path(path);
    let probing = || format!("probing {}", path.display());
    let file = open(&path).map_err(|e| e.context(probing()))?;
    let document = document(&ctx.ui, &file).map_err(|e| read_error(e).context(probing()))?;
    ctx.ui.document(&document);
    Ok(())
}

fn read_error(e: ReadError) -> CommandError {
    CommandError::failed(match e {
        ReadError::Io(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
        ReadError::EndOfInput => e.to_string(),
    })
}

fn open(path: &Path) -> Result<File> {
    const READS_AT_OFFSETS: &str = "probe reads here and there: save the stream to a file and name that";
    let failed = |e: std::io::Error| CommandError::failed(e.to_string());
    // Why before opening: to open a pipe waits for a writer.
    let kind = match std::fs::metadata(path) {
        Err(e) if path == Path::new("-") => return Err(failed(e).hint(READS_AT_OFFSETS)),
        metadata => metadata.map_err(failed)?.file_type(),
    };
    if kind.is_dir() {
        return Err(CommandError::failed("it is a directory").hint("name an image file or a block device"));
    }
    if !kind.is_file() && !kind.is_block_device() {
        return Err(CommandError::failed("it is neither a file nor a block device").hint(READS_AT_OFFSETS));
    }
    File::open(path).map_err(failed)
}

/// Returns the answer about these bytes; a damaged partition table is a warning.
fn document<R: ReadAt + ?Sized>(ui: &Ui, source: &R) -> Result<Value, ReadError> {
    let size = source.size()?;
    let kernel = kernel(source, size)?;
    let mut out = Map::new();
    out.insert("size".into(), size.into());
    // Why: a bzImage carries 55 AA where an MBR does, and its setup code may pass for entries.
    if kernel.as_ref().is_none_or(|(k, _)| k.format != Format::BzImage)
        && let Some(table) = table(ui, source)?
    {
        out.insert("table".into(), table);
    }
    if let Some(found) = probe(source)? {
        out.insert("filesystem".into(), filesystem(&found, found.kind.name(), found.kind.version()));
    } else if let Some(found) = foreign::probe(source)? {
        out.insert("filesystem".into(), filesystem(&found, found.kind.name(), None));
    }
    if let Some((_, kernel)) = kernel {
        out.insert("kernel".into(), kernel);
    }
    Ok(Value::Object(out))
}

fn table<R: ReadAt + ?Sized>(ui: &Ui, source: &R) -> Result<Option<Value>, ReadError> {
    match gpt::Gpt::open(source) {
        Ok(Some(gpt)) => {
            if gpt.copy == gpt::HeaderCopy::Backup {
                ui.warning(
                    "the primary GPT is damaged, this is the backup",
                    Some("`sgdisk -e` or gdisk repair it"),
                );
            }
            return gpt_table(&gpt).map(Some);
        }
        Ok(None) => {}
        Err(gpt::Error::Read(e @ ReadError::Io(_))) => return Err(e),
        Err(e) => {
            ui.warning(
                format!("the GPT is damaged: {e}"),
                Some("`sgdisk -v` says what is wrong; what follows is only the protective MBR"),
            );
        }
    }
    let Some(sector) = source.read_array_at::<{ mbr::LEN }>(0)? else { return Ok(None) };
    mbr::Mbr::parse(mbr::Raw::new(&sector)).ok().map(|mbr| mbr_table(&mbr, source)).transpose()
}

fn gpt_table<R: ReadAt + ?Sized>(gpt: &gpt::Gpt<'_, R>) -> Result<Value, ReadError> {
    let sector_size = u64::from(gpt.sector_size);
    let partitions = gpt.partitions().map(|p| {
        let p = p?;
        let mut row = row(p.number, p.first_lba, p.sectors(), sector_size);
        row.insert("type".into(), format!("{:X}", p.type_guid).into());
        if !p.name.is_empty() {
            row.insert("name".into(), p.name.to_string().into());
        }
        row.insert("uuid".into(), p.unique_guid.to_string().into());
        Ok(Value::Object(row))
    });
    let partitions = partitions.collect::<Result<Vec<_>, ReadError>>()?;
    let uuid = gpt.header.disk_guid.to_string();
    let mut out = json!({"kind": "gpt", "uuid": uuid, "sector_size": sector_size, "partitions": partitions});
    if gpt.mbr_role == mbr::Role::Hybrid {
        out["hybrid_mbr"] = true.into();
    }
    Ok(out)
}

fn mbr_table<R: ReadAt + ?Sized>(mbr: &mbr::Mbr, source: &R) -> Result<Value, ReadError> {
    let uuid = format!("{:08x}", mbr.disk_signature);
    let partitions = mbr.numbered().map(Ok).chain(Logical::new(source, mbr)).map(|p| {
        let (number, p) = p?;
        let mut row = row(number, p.start_lba.into(), p.sectors.into(), mbr::SECTOR_SIZE);
        row.insert("type".into(), format!("{:x}", p.os_type).into());
        if mbr.disk_signature != 0 {
            row.insert("uuid".into(), format!("{uuid}-{number:02x}").into());
        }
        if p.active {
            row.insert("active".into(), true.into());
        }
        Ok(Value::Object(row))
    });
    let partitions = partitions.collect::<Result<Vec<_>, ReadError>>()?;
    let mut out = Map::new();
    out.insert("kind".into(), "mbr".into());
    if mbr.disk_signature != 0 {
        out.insert("uuid".into(), uuid.into());
    }
    out.insert("sector_size".into(), mbr::SECTOR_SIZE.into());
    out.insert("partitions".into(), partitions.into());
    Ok(Value::Object(out))
}

fn row(number: u32, start_lba: u64, sectors: u64, sector_size: u64) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("number".into(), number.into());
    row.insert("start".into(), start_lba.saturating_mul(sector_size).into());
    row.insert("size".into(), sectors.saturating_mul(sector_size).into());
    row
}

fn filesystem<K>(found: &Filesystem<K>, name: &str, version: Option<&str>) -> Value {
    let mut out = Map::new();
    out.insert("kind".into(), name.into());
    if let Some(version) = version {
        out.insert("version".into(), version.into());
    }
    if let Some(uuid) = &found.uuid {
        out.insert("uuid".into(), uuid.as_str().into());
    }
    if let Some(label) = &found.label {
        out.insert("label".into(), label.as_str().into());
    }
    if found.bytes != 0 {
        out.insert("size".into(), found.bytes.into());
    }
    Value::Object(out)
}

fn kernel<R: ReadAt + ?Sized>(source: &R, size: u64) -> Result<Option<(KernelImage, Value)>, ReadError> {
    let mut head = vec![0; HEAD_LEN.min(usize::try_from(size).unwrap_or(HEAD_LEN))];
    source.read_exact_at(0, &mut head)?;
    let Some(outer) = detect(&head) else { return Ok(None) };
    let mut out = Map::new();
    out.insert("format".into(), outer.format.name().into());
    let mut machine = outer.machine;
    if outer.format == Format::Gzip {
        // Any file may be gzipped; only one with a kernel in it is a kernel.
        let Some(inner) = detect(&gunzip_head(&head)) else { return Ok(None) };
        out.insert("inside".into(), inner.format.name().into());
        machine = inner.machine;
    }
    if let Some(machine) = machine {
        out.insert("arch".into(), machine.name().into());
    }
    Ok(Some((outer, Value::Object(out))))
}

/// Returns what the head of a gzip stream unpacks to, as far as it goes.
fn gunzip_head(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(head).take(HEAD_LEN as u64);
    // Why no error: the input ends within the stream, and what came out until then is all we want.
    let _ = decoder.read_to_end(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Color;
    use std::io::Write;

    fn answer(bytes: &[u8]) -> String {
        document(&Ui::new(true, true, false, Color::Never), bytes).unwrap().to_string()
    }

    #[test]
    fn nothing_found_leaves_the_size_alone() {
        assert_eq!(answer(b""), r#"{"size":0}"#);
        assert_eq!(answer(&[0x55; 600]), r#"{"size":600}"#);
    }

    #[test]
    fn file_system_that_genpack_does_not_use_is_named_too() {
        let mut container = [0; 4096];
        for (at, value) in [(8, 1), (24, 1), (37, 0x10), (40, 1), (72, 0xAB)] {
            container[at] = value;
        }
        container[32..36].copy_from_slice(b"NXSB");
        assert_eq!(
            answer(&container),
            r#"{"size":4096,"filesystem":{"kind":"apfs","uuid":"ab000000-0000-0000-0000-000000000000","size":4096}}"#
        );
    }

    #[test]
    fn mbr_is_printed_in_bytes_with_the_type_of_sfdisk() {
        let partition = mbr::Partition { active: true, os_type: 0x0C, start_lba: 2048, sectors: 100 };
        let mbr = mbr::Mbr { disk_signature: 0x12AB, partitions: [Some(partition), None, None, None] };
        let mut disk = [0; 1024];
        mbr.emit(disk.first_chunk_mut().unwrap());
        assert_eq!(
            answer(&disk),
            r#"{"size":1024,"table":{"kind":"mbr","uuid":"000012ab","sector_size":512,"partitions":[{"number":1,"start":1048576,"size":51200,"type":"c","uuid":"000012ab-01","active":true}]}}"#
        );
    }

    #[test]
    fn gzip_is_a_kernel_only_with_a_kernel_inside() {
        let gzip = |bytes: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut image = [0; 64];
        image[0x38..0x3C].copy_from_slice(b"ARM\x64");
        let packed = gzip(&image);
        let expected = format!(
            r#"{{"size":{},"kernel":{{"format":"gzip","inside":"arm64-image","arch":"aarch64"}}}}"#,
            packed.len()
        );
        assert_eq!(answer(&packed), expected);
        let text = gzip(b"hello");
        assert_eq!(answer(&text), format!(r#"{{"size":{}}}"#, text.len()));
    }
}
