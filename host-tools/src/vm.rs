//! Machines: names, kernels out of images, how one is run, kept, found and stopped.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | machine names and the addresses that follow from them |
//! | [`options`] | everything that can be asked of a machine |
//! | [`memory`], [`hostfwd`], [`words`] | values of the command line |
//! | [`host`] | what this host offers |
//! | [`network`], [`usb`], [`pci`], [`media`], [`shares`] | devices of the host, by name |
//! | [`kernel_files`], [`kernel`] | which kernel an image offers; gets it into memory |
//! | [`values`] | what a guest is told |
//! | [`prepare`], [`plan`] | options and findings → [`genpack_qemu::machine::Machine`] |
//! | [`companion`], [`launch`] | programs beside QEMU; starts all of it |
//! | [`rundir`] | run directories: locks, sockets, records |
//! | [`run`], [`supervise`] | the verb `vm run`; machines in the background |
//! | [`hub`], [`notify`], [`guest_notify`], [`signals`], [`terminal`] | pieces of keeping one |
//! | [`escalation`] | how a machine is stopped |
//! | [`stop`], [`restart`], [`list`], [`console`], [`guest`] | verbs for machines that run |
//! | [`hotplug`], [`disk_files`] | devices that come and go; files that hold disks |
//! | [`service`], [`vm_ini`] | machines that a directory describes |
//! | [`sock_forward`] | sockets of the host that a guest reaches by vsock |
//! | [`mirror`] | copies of what passes an interface of the host |
//! | [`doctor`] | what this host lacks |
//! | [`base64`] | how the guest agent carries bytes |
//! | [`wait`] | waits for ssh, for the guest agent, for the end |

pub mod base64;
pub mod companion;
pub mod console;
pub mod disk_files;
pub mod doctor;
pub mod escalation;
mod flash;
pub mod guest;
pub mod guest_notify;
pub mod host;
pub mod hostfwd;
pub mod hotplug;
pub mod hub;
pub mod identity;
pub mod kernel;
pub mod kernel_files;
pub mod launch;
pub mod list;
pub mod media;
pub mod memory;
pub mod mirror;
pub mod network;
pub mod notify;
pub mod options;
pub mod pci;
pub mod plan;
pub mod prepare;
pub mod restart;
pub mod run;
pub mod rundir;
pub mod service;
pub mod shares;
pub mod signals;
pub mod sock_forward;
pub mod stop;
pub mod supervise;
mod sys;
pub mod terminal;
pub mod usb;
pub mod values;
pub mod vm_ini;
mod vsock;
pub mod wait;
pub mod words;
