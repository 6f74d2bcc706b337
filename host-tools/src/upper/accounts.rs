//! The argument vectors of groupadd(8) and useradd(8).

use crate::model::account::{Group, User};

/// Returns the command that adds a group.
#[must_use]
pub fn groupadd(group: &Group) -> Vec<String> {
    let mut argv = vec!["groupadd".to_owned()];
    if let Some(gid) = group.gid {
        argv.extend(["-g".to_owned(), gid.to_string()]);
    }
    argv.push(group.name.clone());
    argv
}

/// Returns the command that adds a user.
#[must_use]
pub fn useradd(user: &User) -> Vec<String> {
    let mut argv = vec!["useradd".to_owned()];
    let mut option = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_owned(), value]);
        }
    };
    option("-u", user.uid.map(|u| u.to_string()));
    option("-c", user.comment.clone());
    option("-d", user.home.clone());
    option("-g", user.initial_group.clone());
    option("-G", Some(user.additional_groups.join(",")).filter(|g| !g.is_empty()));
    option("-s", user.shell.clone());
    option("-p", user.empty_password.then(String::new));
    if user.create_home {
        argv.push("-m".to_owned());
    }
    argv.push(user.name.clone());
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useradd_gives_only_what_was_asked_for() {
        let mut user = User {
            name: "u".into(),
            uid: None,
            comment: None,
            home: None,
            shell: None,
            initial_group: None,
            additional_groups: vec![],
            create_home: true,
            empty_password: false,
        };
        assert_eq!(useradd(&user), ["useradd", "-m", "u"]);
        user.uid = Some(0);
        user.comment = Some("a b".into());
        user.home = Some("/h".into());
        user.initial_group = Some("g".into());
        user.additional_groups = vec!["x".into(), "y".into()];
        user.shell = Some("/bin/sh".into());
        user.create_home = false;
        user.empty_password = true;
        assert_eq!(
            useradd(&user),
            [
                "useradd", "-u", "0", "-c", "a b", "-d", "/h", "-g", "g", "-G", "x,y", "-s", "/bin/sh", "-p",
                "", "u"
            ]
        );
    }

    #[test]
    fn groupadd_gives_a_number_when_there_is_one() {
        assert_eq!(groupadd(&Group { name: "g".into(), gid: None }), ["groupadd", "g"]);
        assert_eq!(groupadd(&Group { name: "g".into(), gid: Some(7) }), ["groupadd", "-g", "7", "g"]);
    }
}
