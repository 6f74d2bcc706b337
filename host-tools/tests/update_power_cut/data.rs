//! Images on the data partition: they go there when the boot partition has no room or the image has 4 GiB. Every other
//! write of an update is on the boot partition, the record above all.
//!
//! The boot partition is the FAT of `fat.rs`, at its sectors. A journal is no model of sectors, so of the data partition
//! stands here what ext4, btrfs and XFS promise, and no more: a name is changed as a whole, rename and exchange too; what
//! `fsync` of a file reached stays, what `fsync` of its directory reached stays; of all else any part may be lost, in any
//! order, and what a file has beyond its last sync may be missing or zeros.

use std::cell::RefCell;
use std::rc::Rc;

use genpack_boot::menu_policy::PLACES;
use genpack_core::contract::boot_state::Reason;
use genpack_host::update::medium::Medium;
use genpack_host::update::plan::file_name;

use super::*;

/// A change of names that happens as a whole: which file each one has then.
type NameChange = Vec<(String, Option<usize>)>;
type Names = BTreeMap<String, usize>;
/// A file: what its last sync made durable, and what it is.
type Contents = (Vec<u8>, Vec<u8>);

/// The data partition.
#[derive(Clone, Default)]
pub(crate) struct Data {
    files: Vec<Contents>,
    durable: Names,
    pending: Vec<NameChange>,
}

fn change(names: &mut Names, change: &NameChange) {
    for (name, file) in change {
        match file {
            Some(file) => drop(names.insert(name.clone(), *file)),
            None => drop(names.remove(name)),
        }
    }
}

impl Data {
    fn of(files: &[(&str, Vec<u8>)]) -> Self {
        let mut data = Self::default();
        for (i, (name, bytes)) in files.iter().enumerate() {
            data.files.push((bytes.clone(), bytes.clone()));
            data.durable.insert((*name).to_owned(), i);
        }
        data
    }

    fn names(&self) -> Names {
        let mut names = self.durable.clone();
        self.pending.iter().for_each(|pending| change(&mut names, pending));
        names
    }

    /// Returns the files as the running system sees them.
    fn now(&self) -> BTreeMap<String, Vec<u8>> {
        self.names().into_iter().map(|(name, file)| (name, self.files[file].1.clone())).collect()
    }

    /// Returns one of the partitions that a cut can leave, mounted anew.
    fn cut(&self, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.durable.clone();
        let kept = self.pending.iter().filter(|_| random.below(2) == 0).collect::<Vec<_>>();
        kept.into_iter().for_each(|pending| change(&mut names, pending));
        names.into_iter().map(|(name, file)| (name, lost(&self.files[file], random))).collect()
    }
}

/// Returns what a cut leaves of a file.
fn lost((durable, now): &Contents, random: &mut Random) -> Vec<u8> {
    if durable == now || random.below(4) == 0 {
        return durable.clone();
    }
    let mut left = now.clone();
    left.truncate(durable.len() + random.below(now.len() - durable.len() + 1));
    let beyond = durable.len();
    for part in left[beyond..].chunks_mut(SECTOR).filter(|_| random.below(3) == 0) {
        part.fill(0);
    }
    left
}

/// Returns the version that GRUB starts from both partitions.
fn booted_of_both(disk: &Disk, data: &BTreeMap<String, Vec<u8>>) -> std::result::Result<u8, String> {
    let content = |place: Place, name: &str| match place {
        Place::Boot => disk.read_file(name),
        Place::Data => data.get(name).cloned(),
    };
    let opens = |c: menu_policy::Candidate| match c.place {
        Place::Boot => disk.head(c.file_name()) == Some(*b"hsqs"),
        Place::Data => data.get(c.file_name()).is_some_and(|bytes| bytes.starts_with(b"hsqs")),
    };
    let starts = menu_policy::starts(record(disk).1, opens, true);
    let first = starts.first().ok_or("nothing starts")?.candidate;
    let bytes = content(first.place, first.file_name()).ok_or("it cannot be read")?;
    let version = bytes[4].min(9);
    if bytes == image(version) { Ok(version) } else { Err(format!("version {version} is not complete")) }
}

/// Who looks at both partitions after a cut.
struct Referee {
    allowed: Vec<u8>,
    random: Random,
    /// States at each moment.
    of_each: usize,
    states: usize,
    unbootable: Option<String>,
    kept: Vec<(Disk, BTreeMap<String, Vec<u8>>)>,
}

impl Referee {
    fn moment(&mut self, durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>, data: &Data) {
        for _ in 0..self.of_each {
            let disk = cut::cut(durable, pending, &mut self.random, true);
            let data = data.cut(&mut self.random);
            self.states += 1;
            let verdict = booted_of_both(&disk, &data);
            let is_allowed = verdict.as_ref().is_ok_and(|version| self.allowed.contains(version));
            if !is_allowed && self.unbootable.is_none() {
                self.unbootable = Some(format!("{verdict:?}, allowed {:?}", self.allowed));
            }
            if self.states.is_multiple_of(61) {
                self.kept.push((disk, data));
            }
        }
    }
}

/// Both partitions, mounted.
struct Both<'a> {
    fat: Fat<'a>,
    data: Rc<RefCell<Data>>,
    referee: Rc<RefCell<Referee>>,
    lies: bool,
}

impl Both<'_> {
    fn changed(&self) {
        self.referee.borrow_mut().moment(&self.fat.durable, &self.fat.pending, &self.data.borrow());
    }

    fn file(&self, at: &At) -> io::Result<usize> {
        self.data.borrow().names().get(&at.path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename_all(&self, pending: NameChange) {
        self.data.borrow_mut().pending.push(pending);
        self.changed();
    }
}

impl Medium for Both<'_> {
    type File = At;

    fn create(&mut self, at: &At) -> io::Result<At> {
        if at.place == Place::Boot {
            return self.fat.create(at);
        }
        if self.file(at).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.data.borrow_mut().files.push(Contents::default());
        let file = self.data.borrow().files.len() - 1;
        self.rename_all(vec![(at.path.clone(), Some(file))]);
        Ok(at.clone())
    }

    fn append(&mut self, at: &mut At, bytes: &[u8]) -> io::Result<()> {
        if at.place == Place::Boot {
            return self.fat.append(at, bytes);
        }
        let file = self.file(at)?;
        for part in bytes.chunks(SECTOR) {
            self.data.borrow_mut().files[file].1.extend(part);
            self.changed();
        }
        Ok(())
    }

    fn sync(&mut self, at: &At) -> io::Result<()> {
        if at.place == Place::Boot {
            return self.fat.sync(at);
        }
        let file = self.file(at)?;
        if !self.lies {
            let contents = &mut self.data.borrow_mut().files[file];
            contents.0 = contents.1.clone();
        }
        self.changed();
        Ok(())
    }

    fn read(&mut self, at: &At, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        if at.place == Place::Boot {
            return self.fat.read(at, offset, out);
        }
        let data = self.data.borrow();
        let bytes = &data.files[self.file(at)?].1;
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn overwrite(&mut self, at: &At, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert_eq!(at.place, Place::Boot, "nothing on the data partition is overwritten");
        self.fat.overwrite(at, offset, bytes)
    }

    fn remove(&mut self, at: &At) -> io::Result<()> {
        if at.place == Place::Boot {
            return self.fat.remove(at);
        }
        self.file(at)?;
        self.rename_all(vec![(at.path.clone(), None)]);
        Ok(())
    }

    fn rename(&mut self, from: &At, to: &At) -> io::Result<()> {
        assert_eq!((from.place, to.place), (Place::Data, Place::Data));
        let file = self.file(from)?;
        self.rename_all(vec![(from.path.clone(), None), (to.path.clone(), Some(file))]);
        Ok(())
    }

    fn exchange(&mut self, a: &At, b: &At) -> io::Result<()> {
        assert_eq!((a.place, b.place), (Place::Data, Place::Data));
        let (of_a, of_b) = (self.file(a)?, self.file(b)?);
        self.rename_all(vec![(a.path.clone(), Some(of_b)), (b.path.clone(), Some(of_a))]);
        Ok(())
    }

    fn sync_names(&mut self, at: &At) -> io::Result<()> {
        if at.place == Place::Boot {
            return self.fat.sync_names(at);
        }
        if !self.lies {
            let mut data = self.data.borrow_mut();
            data.durable = data.names();
            data.pending.clear();
        }
        self.changed();
        Ok(())
    }
}

/// A machine whose boot partition has no room for another image.
struct Machine {
    disk: Disk,
    data: Rc<RefCell<Data>>,
    referee: Rc<RefCell<Referee>>,
    loader: Loader,
    /// Bytes that are free on the boot partition.
    free: u64,
    lies: bool,
}

impl Machine {
    /// Starts with these images; the record is that of a new disk.
    fn new(on_boot: &[(&str, Vec<u8>)], on_data: &[(&str, Vec<u8>)], loader: Loader) -> Self {
        let env = environment_block();
        let mut files = vec![(GRUBENV, &env[..])];
        files.extend(on_boot.iter().map(|(name, bytes)| (*name, &bytes[..])));
        let referee = Referee {
            allowed: Vec::new(),
            random: Random(5),
            of_each: 4,
            states: 0,
            unbootable: None,
            kept: Vec::new(),
        };
        Self {
            disk: Fat::disk(&files),
            data: Rc::new(RefCell::new(Data::of(on_data))),
            referee: Rc::new(RefCell::new(referee)),
            loader,
            free: 0,
            lies: false,
        }
    }

    fn facts(&self, running: Option<Image>) -> Facts {
        let data = self.data.borrow().now();
        let on = |place| {
            let size = |name: &str| match place {
                Place::Boot => self.disk.size_of(name),
                Place::Data => data.get(name).map(|bytes| bytes.len() as u64),
            };
            let names = IMAGES.map(|image| file_name(image, place)).into_iter();
            names.filter_map(|name| Some((name.to_owned(), size(name)?))).collect()
        };
        Facts {
            boot: Partition { free: self.free, cluster: 512, files: on(Place::Boot) },
            data: Some(Partition { free: 30 << 20, cluster: 4096, files: on(Place::Data) }),
            state: record(&self.disk).1,
            loader: self.loader.clone(),
            running,
        }
    }

    fn new_image(&self, version: u8) -> NewImage {
        let (bytes, data) = (image(version), self.data.borrow().now());
        let is_same = |at: &At| match at.place {
            Place::Boot => self.disk.read_file(&at.path).as_ref() == Some(&bytes),
            Place::Data => data.get(&at.path) == Some(&bytes),
        };
        let all =
            IMAGES.into_iter().flat_map(|image| PLACES.map(|place| At::new(place, file_name(image, place))));
        NewImage { bytes: IMAGE as u64, already: all.filter(is_same).collect(), ..NewImage::default() }
    }

    fn run(&mut self, ops: &[Op], version: u8) {
        let (block, _) = record(&self.disk);
        let (data, referee) = (self.data.clone(), self.referee.clone());
        let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| {
            referee.borrow_mut().moment(durable, pending, &data.borrow());
        };
        let fat = Fat::mount(self.disk.clone(), &mut observer);
        let mut both = Both { fat, data: self.data.clone(), referee: self.referee.clone(), lies: self.lies };
        run::run(&mut both, &block, ops, &mut Version(version)).unwrap();
        self.disk = both.fat.now();
        if !self.lies {
            assert!(self.data.borrow().pending.is_empty(), "the last operation is on the disk");
        }
    }

    fn note(&mut self, next: BootState) {
        let ops = plan::link(&self.facts(None), next, |_| None);
        self.run(&ops, 0);
    }

    fn allow(&self, versions: &[u8]) {
        self.referee.borrow_mut().allowed = versions.to_vec();
    }

    fn booted(&self) -> std::result::Result<u8, String> {
        booted_of_both(&self.disk, &self.data.borrow().now())
    }
}

#[test]
fn image_on_the_data_partition_is_whole_when_it_is_started_after_every_cut() {
    // The image of the boot partition is replaced too: by one beside the others, or by one in its place.
    for (free, place) in [(0, Place::Data), (4096, Place::Boot)] {
        story_of_both(free, place);
    }
}

fn story_of_both(free: u64, place_of_img: Place) {
    let mut machine = Machine::new(&[("system.img", image(1))], &[], Loader::Record);
    machine.free = free;
    let (mut running, mut good) = (Image::Img, 1);
    let mut places = Vec::new();
    for (version, commits) in [(2, true), (3, false), (4, true), (5, true), (6, true)] {
        machine.allow(&[good, version]);
        let plan = plan::plan(&machine.facts(Some(running)), &machine.new_image(version), &wish()).unwrap();
        machine.run(&plan.ops, version);
        places.push((plan.image, plan.place));
        assert_eq!(machine.booted(), Ok(version), "the new one is tried");
        let state = record(&machine.disk).1.boot_attempt().unwrap();
        machine.note(state);
        let state = state.entered(plan.image).handed_over(plan.image);
        machine.note(state);
        if commits {
            (running, good) = (plan.image, version);
            machine.note(state.mark_good(plan.image));
        } else {
            machine.note(state.rolled_back(Reason::Asked));
        }
        assert_eq!(machine.booted(), Ok(good));
    }
    let expected = [Image::New, Image::Old, Image::Old, Image::Img, Image::New];
    let expected =
        expected.map(|image| (image, if image == Image::Img { place_of_img } else { Place::Data }));
    assert_eq!(places, expected);
    let facts = machine.facts(Some(running));
    let back = facts.state.rollback(|image| facts.has(image)).unwrap();
    machine.allow(&[5, 6]);
    machine.note(back);
    assert_eq!(machine.booted(), Ok(5));
    machine.allow(&[5]);
    let ops = plan::collect(&machine.facts(None), true);
    assert!(ops.len() > 1);
    machine.run(&ops, 0);
    let mut referee = machine.referee.borrow_mut();
    assert_eq!(referee.unbootable, None, "of {} states", referee.states);
    assert!(referee.states > 900, "{}", referee.states);

    // The next update of what a cut left, by whatever runs then.
    for (disk, files) in std::mem::take(&mut referee.kept) {
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
        let mut after = Machine { disk, ..Machine::new(&[], &files, Loader::Record) };
        let good = record(&after.disk).1.good();
        after.referee.borrow_mut().of_each = 0;
        let plan = plan::plan(&after.facts(Some(good)), &after.new_image(9), &wish()).unwrap();
        after.run(&plan.ops, 9);
        assert_eq!(after.booted(), Ok(9));
    }
}

#[test]
fn old_loader_finds_its_image_on_the_data_partition_after_every_cut() {
    let mut machine = Machine::new(&[], &[("system", image(1))], Loader::Old);
    for version in [2, 3] {
        machine.allow(&[version - 1, version]);
        let plan = plan::plan(&machine.facts(None), &machine.new_image(version), &wish()).unwrap();
        assert_eq!(plan.place, Place::Data);
        machine.run(&plan.ops, version);
        assert_eq!(machine.booted(), Ok(version));
        let data = machine.data.borrow().now();
        assert!(data.get("system.cur") == Some(&image(1)) && !data.contains_key("system.new"));
    }
    let referee = machine.referee.borrow();
    assert_eq!(referee.unbootable, None, "of {} states", referee.states);
    assert!(referee.states > 100, "{}", referee.states);
}

/// The proof must find what it looks for: the record before the image, and a disk that only pretends to sync.
#[test]
fn wrong_orders_and_lies_on_the_data_partition_are_found() {
    let unbootable = |lies: bool, reversed: bool| {
        let mut machine = Machine::new(&[("system.img", image(1))], &[], Loader::Record);
        machine.lies = lies;
        machine.referee.borrow_mut().of_each = 30;
        machine.allow(&[1, 2]);
        let mut ops =
            plan::plan(&machine.facts(Some(Image::Img)), &machine.new_image(2), &wish()).unwrap().ops;
        if reversed {
            ops.reverse();
        }
        machine.run(&ops, 2);
        machine.referee.borrow().unbootable.is_some()
    };
    assert!(!unbootable(false, false));
    assert!(unbootable(true, false), "no sync");
    assert!(unbootable(false, true), "the record before the image");
}
