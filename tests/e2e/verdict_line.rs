//! The verdict of a guest, as a scene reads it: no machine.

use genpack_tests::verdict::{Error, Verdict};

const ONE: &str = concat!(
    r#"GENPACK-VERDICT {"hostname":"a","timezone":"","lang":"","authorized_keys":[],"#,
    r#""root":{"fstype":"overlay","source":"o"},"lowerdir":"","upperdir":"","#,
    r#""image":{"fstype":"","source":""},"writable":{"fstype":"","source":""},"#,
    r#""boot_status":{"persistent":"no"},"users":[],"said":[],"boots":1,"failed_units":[],"page":"","ssh":"","#,
    r#""arch":"x86_64","usr_time":1,"image_usr_time":1}"#
);

#[test]
fn exactly_one_line_is_a_verdict() {
    let verdict = Verdict::of_lines(["boot", ONE, "done"]).unwrap();
    assert_eq!((verdict.hostname.as_str(), verdict.boots), ("a", 1));
    assert_eq!((verdict.status("persistent"), verdict.status("image")), ("no", ""));
    assert!(matches!(Verdict::of_lines(["boot"]), Err(Error::Count(0))));
    assert!(matches!(Verdict::of_lines([ONE, ONE]), Err(Error::Count(2))));
}

#[test]
fn missing_or_foreign_member_is_refused() {
    for line in
        [ONE.replace("\"boots\":1,", ""), ONE.replace("\"boots\"", "\"x\":1,\"boots\""), ONE.replace('}', "")]
    {
        assert!(matches!(Verdict::of_lines([line.as_str()]), Err(Error::Syntax(_))), "{line}");
    }
}
