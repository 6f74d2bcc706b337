//! `backhand ls IMAGE` lists everything as `genpack-host ls -lR` does, `backhand read IMAGE` reads every byte.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};

use backhand::{FilesystemReader, InnerNode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (verb, image) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let image = FilesystemReader::from_reader(BufReader::new(File::open(image)?))?;
    let mut out = BufWriter::new(io::stdout().lock());
    for node in image.files() {
        let size = match &node.inner {
            InnerNode::File(file) if verb == "read" => {
                io::copy(&mut image.file(file).reader(), &mut io::sink())?
            }
            InnerNode::File(file) => file.file_len() as u64,
            _ => 0,
        };
        let h = &node.header;
        writeln!(
            out,
            "{:o} {}/{} {size:>10} {} {}",
            h.permissions,
            h.uid,
            h.gid,
            h.mtime,
            node.fullpath.display()
        )?;
    }
    Ok(out.flush()?)
}
