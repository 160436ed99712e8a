# Make rules for unit tests and fuzzers, from the comments at their tops:
#   /* link: base config parse */   the parts of src/ they are linked with: directories and
#                                   single files (parse, smtp/reply); none: all but exim.c
#   /* wrap: time read */           functions replaced by __wrap_*
#   /* libs: -lfoo */               further libraries
# Of each part the linker takes the objects that are needed, so naming too much costs nothing.

function words(line, tag,    s) {
    s = line
    if (!sub("^.*/[*] *" tag ": *", "", s))
        return ""
    sub(/ *[*]\/.*$/, "", s)
    return s
}

function finish(    name, n, w, i, deps) {
    if (file == "")
        return
    name = file
    sub(/^.*\//, "", name)
    sub(/\.c$/, "", name)
    deps = ""
    n = split(link, w, " ")
    for (i = 1; i <= n; i++)
        deps = deps " $(call part_objects," w[i] ")"
    printf "LINK_%s = %s\n", name, n == 0 ? "$(LIB_OBJECTS)" : deps
    n = split(wrap, w, " ")
    deps = ""
    for (i = 1; i <= n; i++)
        deps = deps " -Wl,--wrap=" w[i]
    printf "FLAGS_%s =%s %s\n", name, deps, libs
}

FNR == 1 {
    finish()
    file = FILENAME
    link = wrap = libs = ""
}
FNR <= 30 {
    link = link " " words($0, "link")
    wrap = wrap " " words($0, "wrap")
    libs = libs " " words($0, "libs")
}
END { finish() }
