//! `docker top`: the columns of each format, and errors.

use gantry_tests::{Node, sides};

#[test]
fn formats_of_ps_have_their_columns() {
    let node = Node::start();
    for side in sides(&node) {
        let name = side.name("shown");
        side.docker(&["run", "-d", "--name", &name, "busybox", "sleep", "1000"]).ok();
        let top = |arguments: &str| {
            let encoded = arguments.replace('%', "%25").replace(' ', "%20").replace(';', "%3b");
            side.api("GET", &format!("/containers/{name}/top?ps_args={encoded}"), "")
        };
        for (arguments, titles, last) in [
            ("-ef", "UID PID PPID C STIME TTY TIME CMD", "sleep 1000"),
            ("-e", "PID TTY TIME CMD", "sleep"),
            ("ax", "PID TTY STAT TIME COMMAND", "sleep 1000"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND", "sleep 1000"),
            ("-eF", "UID PID PPID C SZ RSS PSR STIME TTY TIME CMD", "sleep 1000"),
            ("-j", "PID PGID SID TTY TIME CMD", "sleep"),
            ("-jf", "UID PID PPID PGID SID C STIME TTY TIME CMD", "sleep 1000"),
            ("-l", "F S UID PID PPID C PRI NI ADDR SZ WCHAN TTY TIME CMD", "sleep"),
            ("-ely", "S UID PID PPID C PRI NI RSS SZ WCHAN TTY TIME CMD", "sleep"),
            ("j", "PPID PID PGID SID TTY TPGID STAT UID TIME COMMAND", "sleep 1000"),
            ("-o pid,user,args", "PID USER COMMAND", "sleep 1000"),
            ("-eo pid,ruid,gid,nice,pri,stat,tty", "PID RUID GID NI PRI STAT TT", "?"),
            ("-o pid -o comm", "PID COMMAND", "sleep"),
        ] {
            let (status, said) = top(arguments);
            assert_eq!(status, 200, "{}: {arguments}: {said}", side.who);
            let words = |list: &serde_json::Value| -> Vec<String> {
                list.as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|word| word.as_str().map(str::to_owned))
                    .collect()
            };
            assert_eq!(words(&said["Titles"]).join(" "), titles, "{}: {arguments}", side.who);
            let row = words(&said["Processes"][0]);
            assert_eq!(row.last().map(String::as_str), Some(last), "{}: {arguments}: {row:?}", side.who);
            let stat = titles.split(' ').position(|title| title == "STAT");
            assert_eq!(
                stat.map(|at| row[at].as_str()),
                stat.map(|_| "Ss"),
                "{}: {arguments}: {row:?}",
                side.who
            );
        }
        for (arguments, words) in [
            ("-o comm", "Couldn't find PID field in ps output"),
            ("-o pid=P,args", "Couldn't find PID field in ps output"),
            ("-o pid,nosuch", "ps: error: unknown user-defined format specifier \"nosuch\""),
            ("-o", "ps: error: format specification must follow -o"),
            ("-y", "ps: error: modifier -y without format -l makes no sense"),
        ] {
            let (status, said) = top(arguments);
            assert!(status >= 400 && said["message"] == words, "{}: {arguments}: {status} {said}", side.who);
        }
        side.docker(&["rm", "-f", &name]).ok();
    }
}
