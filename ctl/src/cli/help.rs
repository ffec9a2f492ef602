//! The help: commands in groups, and examples.

use std::fmt::Write;

use clap::{Command, CommandFactory};

use super::Cli;

/// Every command, by its subject.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Gantry itself",
        &["up", "down", "status", "info", "version", "events", "metrics", "df", "prune", "fsck", "backup"],
    ),
    (
        "Containers",
        &[
            "run", "create", "ps", "start", "stop", "restart", "kill", "pause", "unpause", "wait", "rename",
            "update", "rm",
        ],
    ),
    ("Inside containers", &["exec", "logs", "cp", "top", "stats", "inspect"]),
    ("Images", &["images", "pull", "push", "tag", "rmi", "save", "load", "image", "login", "logout"]),
    ("Volumes and networks", &["volume", "net"]),
    ("The shell", &["completion", "help"]),
];

const EXAMPLES: &[(&str, &str)] = &[
    (
        "",
        "gantry up --detach                              start the services\n\
         gantry run --rm -it busybox sh                  a shell in a container\n\
         gantry run -d --name web -p 8080:80 nginx       a server in the background\n\
         gantry ps --filter health=unhealthy             which containers are not well\n\
         gantry --json ps | jq .name                     one JSON document a line",
    ),
    (
        "up",
        "gantry up                       in the foreground; Ctrl-C ends the services, not the containers\n\
         gantry up --detach              returns when all services answer\n\
         gantry --root /tmp/g up         everything below one folder, beside others",
    ),
    (
        "run",
        "gantry run --rm -it busybox sh\n\
         gantry run -d --name web -p 8080:80 -v data:/var/lib/web -m 512m --cpus 1.5 --restart unless-stopped nginx\n\
         gantry run -d --health-cmd 'wget -qO- localhost' --health-interval 10s nginx\n\n\
         It ends as the container does; 125 when Gantry failed, 126 when the program may not be run, 127 when there is none.",
    ),
    ("exec", "gantry exec -it web sh\ngantry exec -e LEVEL=debug web env"),
    (
        "ps",
        "gantry ps -a --filter status=exited\n\
         gantry ps --format '{{.Names}}\\t{{.Status}}\\t{{.Ports}}'\n\
         gantry ps --format 'table {{.ID}}\\t{{.Health}}'",
    ),
    (
        "cp",
        "gantry cp web:/etc/nginx/nginx.conf .\n\
         gantry cp site/. web:/usr/share/nginx/html\n\
         gantry cp web:/var/log - | tar -t",
    ),
    ("logs", "gantry logs -f --tail 20 web\ngantry logs --since 10m -t web"),
    (
        "events",
        "gantry events --since 10m --until 0s\n\
         gantry events --filter container=web --filter event=die\n\
         gantry --json events | jq -c '[.action, .attributes.name]'",
    ),
    ("stats", "gantry stats\ngantry stats --no-stream --format '{{.Name}} {{.MemUsage}}'"),
    ("images", "gantry images nginx\ngantry images --filter dangling=true -q"),
    ("pull", "gantry pull nginx\ngantry pull --platform linux/arm64 registry.example/team/app:1.2"),
    ("push", "gantry tag app registry.example/team/app:1.2 && gantry push registry.example/team/app:1.2"),
    (
        "login",
        "gantry login registry.example\nprintf %s \"$TOKEN\" | gantry login -u me --password-stdin registry.example",
    ),
    ("save", "gantry save -o images.tar nginx redis\ngantry save nginx | ssh other gantry load"),
    ("update", "gantry update --memory 1g --memory-swap 2g --restart always web"),
    ("prune", "gantry prune\ngantry prune -af --filter until=24h"),
    ("volume", "gantry volume create data\ngantry volume ls --filter dangling=true"),
    (
        "net",
        "gantry net create --subnet 10.5.0.0/16 back\n\
         gantry net connect --alias db back postgres",
    ),
];

/// The command line with its help.
pub fn command() -> Command {
    let mut command = tolerant(Cli::command());
    command.build();
    let groups = groups(&command);
    command = command.help_template("{about}\n\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}");
    let after = |name: &str| {
        let (_, text) = EXAMPLES.iter().find(|(of, _)| *of == name)?;
        let text = text.lines().map(|line| format!("  {line}").trim_end().to_owned()).collect::<Vec<_>>();
        Some(format!("Examples:\n{}", text.join("\n")))
    };
    let examples = after("").unwrap_or_default();
    command = command.after_help(format!("{groups}{examples}"));
    for (name, _) in EXAMPLES.iter().filter(|(name, _)| !name.is_empty()) {
        command = command.mut_subcommand(name, |one| one.after_help(after(name).unwrap_or_default()));
    }
    command
}

/// Lets the last of several equal options count.
fn tolerant(command: Command) -> Command {
    command.args_override_self(true).mut_subcommands(tolerant)
}

/// An error of the command line's parser in one line, with the command for help.
pub fn in_one_line(error: &str) -> String {
    let said = error.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let usage = error.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("gantry");
    let command: Vec<_> = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
    format!("{said}; see `{} --help`", command.join(" "))
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{title}:");
        for name in *names {
            let about = command
                .find_subcommand(name)
                .and_then(Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(text, "  {name:<11} {}", about.trim_end_matches('.'));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut command = Cli::command();
        command.build();
        let all: BTreeSet<_> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
        let grouped: Vec<_> =
            GROUPS.iter().flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned())).collect();
        assert_eq!(grouped.iter().cloned().collect::<BTreeSet<_>>(), all);
        assert_eq!(grouped.len(), all.len());
    }

    #[test]
    fn what_is_misunderstood_is_told_in_one_line() {
        let told = |arguments: &[&str]| {
            let error = super::command().try_get_matches_from(arguments).expect_err("it makes no sense");
            in_one_line(&error.to_string())
        };
        let rows = [
            (&["gantry", "rum"][..], "unrecognized subcommand 'rum'; see `gantry --help`"),
            (&["gantry", "ps", "--colour"], "unexpected argument '--colour' found; see `gantry ps --help`"),
            (
                &["gantry", "net", "rm"],
                "the following required arguments were not provided: <NAMES>...; see `gantry net rm --help`",
            ),
        ];
        for (arguments, words) in rows {
            assert_eq!(told(arguments), words);
        }
    }

    #[test]
    fn the_help_has_groups_and_examples() {
        super::command().debug_assert();
        let help = super::command().render_help().to_string();
        for words in ["Containers:\n  run ", "Examples:\n  gantry up --detach", "Options:\n"] {
            assert!(help.contains(words), "{help}");
        }
        let mut command = super::command();
        let run = command.find_subcommand_mut("run").expect("it is there").render_help().to_string();
        for words in ["Limits:\n", "Health:\n", "--memory <BYTES>", "Examples:\n  gantry run --rm"] {
            assert!(run.contains(words), "{run}");
        }
    }
}
