# The work of scripts/configure-build: names first, then the settings in order.

function complain(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text > "/dev/stderr"
    failed = 1
}

function trim(s) {
    gsub(/^[ \t]+|[ \t\r]+$/, "", s)
    return s
}

# $(NAME) and ${NAME} of names set so far; others are left for make.
function expand(s,    out, name) {
    out = ""
    while (match(s, /\$[({][A-Za-z_0-9]+[)}]/)) {
        name = substr(s, RSTART + 2, RLENGTH - 3)
        if (name in value)
            out = out substr(s, 1, RSTART - 1) value[name]
        else
            out = out substr(s, 1, RSTART + RLENGTH - 1)
        s = substr(s, RSTART + RLENGTH)
    }
    return out s
}

function unquote(s) {
    if (s ~ /^".*"$/)
        return substr(s, 2, length(s) - 2)
    return s
}

function is_yes(s) { return tolower(s) ~ /^(yes|true|on|1)$/ }
function is_no(s)  { return tolower(s) ~ /^(no|false|off|0|)$/ }

function exists(file,    line, rc) {
    rc = (getline line < file)
    close(file)
    return rc >= 0
}

function check_yes_no(name, v) {
    if (!is_yes(v) && !is_no(v))
        complain(name " must be yes or no, not \"" v "\"")
}

function check_driver(name, v,    part) {
    if (v == "2") {
        complain(name "=2: loadable modules are not built; say yes to build it in")
        return "no"
    }
    check_yes_no(name, v)
    split(detail[name], part, " ")
    if (!is_yes(v) || exists(part[1]))
        return v
    if (draft)
        return "no"
    complain(name " is an Exim setting, but " part[1] " is not built yet: leave it unset")
}

function check(name, v,    k) {
    k = kind[name]
    if (k == "driver")
        return check_driver(name, v)
    if (k == "switch" || k == "guard")
        check_yes_no(name, v)
    else if (k == "number" && v !~ /^[0-9]+$/)
        complain(name " must be a number, not \"" v "\"")
    else if (k == "octal" && v !~ /^0[0-7]+$/)
        complain(name " must be an octal number such as 0640, not \"" v "\"")
    else if (k == "always" && is_no(v))
        complain(name " cannot be switched off: " detail[name])
    else if (k == "never" && !is_no(v))
        complain(name " is an Exim setting, but not built yet: " detail[name])
    else if (k == "old")
        complain(name " cannot be set: " detail[name])
    else if (k == "text" && v ~ /\\|"|\$/)
        complain(name " has a character that cannot be part of it: " v)
    return v
}

function set_value(name, op, v) {
    if (!(name in kind)) {
        complain("unknown setting \"" name "\": scripts/build-names lists those there are")
        return
    }
    v = expand(v)
    if (kind[name] == "text")
        v = unquote(v)
    if (op == "?" && name in value)
        return
    if (op == "+" && name in value)
        v = trim(value[name] " " v)
    value[name] = check(name, v)
}

function setting(line,    op, name) {
    if (line !~ /^[ \t]*(export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*[+:?]?=/) {
        complain("not a setting (NAME=value): " line)
        return
    }
    sub(/^[ \t]*(export[ \t]+)?/, "", line)
    match(line, /^[A-Za-z_0-9]+/)
    name = substr(line, 1, RLENGTH)
    line = trim(substr(line, RLENGTH + 1))
    op = substr(line, 1, 1)
    sub(/^[+:?]?=/, "", line)
    set_value(name, op, trim(line))
}

function uncomment(line) {
    if (match(line, /(^|[^\\])#/))
        line = substr(line, 1, RSTART + RLENGTH - 2)
    gsub(/\\#/, "#", line)
    return line
}

FILENAME == "scripts/build-names" {
    if ($0 ~ /^[ \t]*(#|$)/)
        next
    names[++count] = $1
    kind[$1] = $2
    detail[$1] = $0
    sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]*/, "", detail[$1])
    next
}

FNR == 1 && held != "" {
    setting(held)
    held = ""
}

{
    line = uncomment($0)
    if (held != "")
        line = held trim(line)
    held = ""
    if (line ~ /\\[ \t]*$/) { # as in make, one space joins the lines
        sub(/[ \t]*\\[ \t]*$/, " ", line)
        held = line
    } else if (trim(line) != "") {
        setting(line)
    }
}

function required(name, why) {
    if (value[name] != "")
        return
    printf "Local/Makefile: %s must be set: %s\n", name, why > "/dev/stderr"
    failed = 1
}

function sed_text(s) {
    gsub(/[\\&|]/, "\\\\&", s)
    return s
}

function make_text(s) {
    gsub(/#/, "\\#", s)
    return s
}

function write_row(name, v,    k) {
    k = kind[name]
    if (k == "text")
        printf "#define %s \"%s\"\n", name, v > header
    else if (k == "number" || k == "octal")
        printf "#define %s %s\n", name, v > header
    else if (k ~ /^(driver|guard|switch|always)$/ && is_yes(v))
        printf "#define %s 1\n", name > header
    if (k ~ /^(driver|guard)$/ && !is_yes(v))
        left_out = left_out " " detail[name]
    if (k == "make" || k == "text")
        printf "%s := %s\n", name, make_text(v) > makefile
    if (k == "util" || k == "text")
        printf "s|@%s@|%s|g\n", name, sed_text(v) > subst
}

END {
    if (held != "")
        setting(held)
    required("BIN_DIRECTORY", "where the binaries go")
    required("CONFIGURE_FILE", "where the run time configuration is")
    required("SPOOL_DIRECTORY", "where messages are kept")
    required("EXIM_USER", "the user that the server runs as")
    if (failed)
        exit 1
    header = build "/build_config.h.new"
    makefile = build "/config.mk.new"
    subst = build "/subst.sed.new"
    print "/* Made from Local/Makefile by scripts/configure-build. */" > header
    print "#ifndef EXIM_BUILD_CONFIG_H\n#define EXIM_BUILD_CONFIG_H\n" > header
    print "# Made from Local/Makefile by scripts/configure-build." > makefile
    print "s|@BUILD@|" sed_text(build) "|g" > subst
    left_out = ""
    for (i = 1; i <= count; i++)
        if (names[i] in value || kind[names[i]] ~ /^(driver|guard|text)$/)
            write_row(names[i], value[names[i]])
        else if (kind[names[i]] == "always")
            write_row(names[i], "yes")
    print "\n#endif" > header
    print "LEFT_OUT :=" left_out > makefile
}
