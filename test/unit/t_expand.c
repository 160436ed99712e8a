/* link: base os expand regex parse parse_rfc2047 parse_text header message proxy config/owner */
/* libs: -lidn2 -lcrypt */
/* Rows of text, what it expands to, or the words of the failure. What Exim itself says about several hundred
 * more is in test/diff/be_cases.txt. */
#include "../lib/expand_world.h"
#include "unit.h"

#include "expand/expand_int.h"

struct row {
    const char *text, *want; /* "!..." : fails with these words; "?...": forced; "~...": deferred */
    unsigned world;
};

static void check_rows(struct arena *a, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct expand_ctx ctx;
        const char *got = NULL, *want = rows[i].want;
        enum expand_rc expected = *want == '!'   ? EXPAND_FAIL
                                  : *want == '?' ? EXPAND_FORCED
                                  : *want == '~' ? EXPAND_DEFER
                                                 : EXPAND_OK;

        world_init(&ctx, a, rows[i].world);
        enum expand_rc rc = expand_text(&ctx, rows[i].text, &got);
        if (rc != expected)
            fail_msg("%s: %d: %s", rows[i].text, (int)rc, rc == EXPAND_OK ? got : ctx.err.msg);
        CHECK_STR(rows[i].text, rc == EXPAND_OK ? got : ctx.err.msg,
                  expected == EXPAND_OK ? want : want + 1);
        CHECK(rows[i].text, ctx.depth == 0);
    }
}
#define ROWS(name, ...)                                 \
    static void name(void **state)                      \
    {                                                   \
        static const struct row rows[] = { __VA_ARGS__ }; \
        check_rows(*state, rows, ARRAY_LEN(rows));      \
    }

/* clang-format off */
ROWS(literal_text_and_escapes,
    { "", "", 0 }, { "abc", "abc", 0 }, { "a\\nb\\tc\\$\\\\\\x41\\101q\\q", "a\nb\tc$\\AAqq", 0 },
    { "\\N$x{\\n\\N}", "$x{\\n}", 0 }, { "\\Nabc", "abc", 0 }, { "a}b{c", "a}b{c", 0 },
    { "\\", "!\\ at end of string", 0 }, { "a\\x00b", "a", 0 })

ROWS(dollar_syntax,
    { "$", "!$ not followed by letter, digit, or {", 0 },
    { "${", "!letter or digit expected after ${", 0 }, { "${1x}", "!} expected after number", 0 },
    { "${lc", "!\"${lc\" is not a known operator (or a } is missing in a variable reference)", 0 },
    { "${foo:x}", "!unknown expansion operator \"foo\"", 0 }, { "$foo", "!unknown variable name \"foo\"", 0 },
    { "${foo}", "!unknown variable in \"${foo}\"", 0 }, { "${lc:a", "!missing } at end of string", 0 },
    { "${lc:$h_foo}", "!missing } at end of string - could be header name not terminated by colon", 0 },
    { "$1$123x${7}", "x", 0 })

ROWS(branches,
    { "${if eq{a}{a}}", "true", 0 }, { "${if eq{a}{b}}", "", 0 }, { "${if eq {a} {b} {y} {n} }", "n", 0 },
    { "${if eq{a}{b}{y}fail}", "?\"if\" failed and \"fail\" requested", 0 },
    { "${if eq{a}{a}{y}fail}", "y", 0 },
    { "${if eq{a}{b}{y}fai}", "!syntax error in \"if\" item - \"fail\" expected", 0 },
    { "${if eq{a}{b}{y}{n}{z}}",
      "!curly-bracket problem in conditional yes/no parsing: did not close with '}'\n remaining string is '{z}}'", 0 },
    { "${if eq{a}{b}x}",
      "!curly-bracket problem in conditional yes/no parsing: 'yes' part did not start with '{'\n"
      " remaining string is 'x}'", 0 })

ROWS(captures_live_as_long_as_their_if,
    { "${if match{abc}{(b)}{$0$1}}$1", "bb", 0 }, { "${if match{abc}{(x)}{y}{[$1]}}", "[]", 0 },
    { "${if match{abc}{(a)}{${if match{abc}{(b)}{$1}}$1}}", "ba", 0 },
    { "${if or{{match{abc}{(x)}}{match{abc}{(c)}}}{$1}}", "c", 0 },
    { "${if and{{match{abc}{(a)}}{match{abc}{(c)}}}{$1}}", "c", 0 },
    { "${sg{abc}{(b)}{[\\$1]}}$1", "a[b]c", 0 })

ROWS(parts_not_chosen_are_not_evaluated,
    { "${if eq{a}{a}{y}{${eval:1/0}}}", "y", 0 }, { "${if or{{eq{a}{a}}{bool{maybe}}}}", "true", 0 },
    { "${if and{{eq{a}{b}}{bool{maybe}}}}", "", 0 }, { "${lookup{k1}lsearch{/f}{y}{${stat:/nope/}}}", "y", 0 })

ROWS(string_items,
    { "${substr{-5}{2}{1234567}}", "34", 0 }, { "${substr_-3_2:12}", "1", 0 }, { "${substr_-1:abcd}", "abc", 0 },
    { "${substr{9}{2}{ab}}|${substr{-9}{ab}}", "|", 0 }, { "${length{2}{abc}}${l_1:xyz}", "abx", 0 },
    { "${substr{x}{abc}}", "!\"x\" is not a number (in \"substr\" expansion)", 0 },
    { "${length{-1}{abc}}", "!\"-1\" is not a positive number (in \"length\" expansion)", 0 },
    { "${hash{3}{monty}} ${hash{5}{monty}} ${hash_4_62:monty python}", "jmg monty fbWx", 0 },
    { "${nhash_8_64:supercalifragilisticexpialidocious} ${nhash_8:x}", "6/33 0", 0 },
    { "${nhash_0:x}", "!nhash by zero", 0 }, { "${hash_3_0:monty}", "!hash count \"0\" too small", 0 },
    { "${tr{abcdea}{ac}{13}}${tr{ab}{ab}{x}}${tr{a}{a}{}}", "1b3de1xxa", 0 },
    { "${sg{abc}{b*}{-}} ${sg{abc}{}{-}} ${sg{aaa}{a}{\\\\\\\\}}", "-a--c- -a-b-c- \\\\\\", 0 },
    { "${sg{abc}{(}{x}}", "!regular expression error in \"(\": missing closing parenthesis at offset 1", 0 },
    { "${hmac{md5}{somesecret}{mail.example.com 2002-10-17 11:30:59}}", "dd97e3ba5d1a61b5006108f8c8252953", 0 },
    { "${hmac{md4}{a}{b}}", "!hmac algorithm \"md4\" is not recognised", 0 },
    { "${listquote{:}{a:b}}${listquote{:}{}}", "a::b ", 0 }, { "${imapfolder{F/B\xc3\xa4r&}}", "F.B&AOQ-r&-", 0 },
    { "${substr{1}}", "!Not enough arguments for 'substr' (min is 2)", 0 },
    { "${substr{1}{2}{3}{4}}", "!Too many arguments for 'substr' (max is 3)", 0 })

ROWS(extraction,
    { "${extract{gid}{uid=1984 gid=2001}}", "2001", 0 }, { "${extract{GID}{gid=\"a \\\\\"b\\\\\"\" x=y}}", "a \"b\"", 0 },
    { "${extract{Z}{A=1}{$value} fail}", "?\"extract\" failed and \"fail\" requested", 0 },
    { "${extract{2}{:}{x:42:99}}${extract{-1}{:}{x:42:99}}${extract{9}{:}{x}{y}{n}}", "4299n", 0 },
    { "${extract{${lc:2}}{:}{x:42}{<$value>}{n}} ${extract{${lc:X}}{x=5}{<$value>}fail}", "<42> <5>", 0 },
    { "${extract{}{a=b}}", "!first argument of \"extract\" must not be empty", 0 },
    { "${extract json{b}{\\{\"a\":[1,2],\"b\":\"x y\"\\}}}", "\"x y\"", 0 },
    { "${extract jsons{2}{[\"a\",\"b,c\"]}}", "b,c", 0 }, { "${extract json{1}{no}}", "!missing '[' wrapping array for extract json", 0 },
    { "${listextract{-3}{<, x,42,99,a,b}{r: $value}}$value", "r: 99", 0 },
    { "${listextract{x}{a}}", "!first argument of \"listextract\" must be numeric", 0 },
    { "${env{NO_SUCH_VARIABLE}{y}{n}}", "n", 0 })

ROWS(list_items,
    { "${map{a:b:c}{[$item]}} ${map{<- x-y}{($item)}}$item", "[a]:[b]:[c] (x)-(y)", 0 },
    { "${filter{a:b:c}{!eq{$item}{b}}}", "a:c", 0 }, { "${map{a:b:c}{${if eq{$item}{b}{}{$item}}}}", "a: :c", 0 },
    { "${reduce {<, 1,2,3}{0}{${eval:$value+$item}}}", "6", 0 },
    { "${reduce {3:0:9}{0}{${if >{$item}{$value}{$item}{$value}}}}", "9", 0 },
    { "${sort{3:2:1:10}{<}{$item}} ${sort{c:a:B}{lti}{$item}}", "1:2:3:10 a:B:c", 0 },
    { "${sort{b1:a2:b0:a1}{lt}{${length_1:$item}}}", "a2:a1:b1:b0", 0 },
    { "${sort{b1:a2:b0:a1}{le}{${length_1:$item}}}", "a1:a2:b0:b1", 0 },
    { "${sort{a}{eq}{$item}}", "!comparator not handled for sort", 0 },
    { "${filter{a}{eq{x}}}", "!missing 2nd string in {} after \"eq\" inside \"filter\" item", 0 })

ROWS(lookups_and_acls,
    { "${lookup{k1}lsearch{/f}}${lookup{k2}lsearch{/f}{y}{n}}", "v1n", 0 },
    { "${lookup{k2}lsearch{/f}{$value}fail}", "?\"lookup\" failed and \"fail\" requested", 0 },
    { "${lookup{again}lsearch{/f}{y}{n}}", "~lookup of \"again\" gave DEFER: busy: /f", 0 },
    { "${lookup{k1}lsearch{f}}", "!failed to open f for linear search", 0 },
    { "${lookup query{a b}{<$value>}}", "<a b>", 0 },
    { "${lookup{a.example}partial-lsearch{/f}{$1 $2}}$1", "a example", 0 },
    { "${lookup{k}nope{/f}}", "!unknown lookup type \"nope\"", 0 },
    { "${lookup lsearch{/f}}", "!missing {key} for single-key \"lsearch\" lookup", 0 },
    { "${acl{accept}{x}{y}} ${acl{deny}}", "x/2 ", 0 }, { "${acl{defer}}", "?DEFER from acl \"defer\"", 0 },
    { "${acl{x}}", "!ERROR from acl \"x\"", 0 },
    { "${if acl{{accept}{m}}{<$value>}} ${if acl{{deny}}{y}{n}}", "<m/1> n", 0 },
    { "${quote_query:a} ${quote_lsearch:a}", "<a> a", 0 },
    { "${quote_query_x:a}", "!\"x\" unrecognized after \"${quote_query\"", 0 })

ROWS(conditions,
    { "${if >={1K}{1024}}${if <{-5}{}}${if ={ 5 }{+5}}", "truetruetrue", 0 },
    { "${if ={5x}{5}}", "!invalid integer \"5x\"", 0 }, { "${if ={x}{5}}", "!integer expected but \"x\" found", 0 },
    { "${if ={99999999999999999999}{1}}", "!absolute value of integer \"99999999999999999999\" is too large (overflow)", 0 },
    { "${if !!eq{a}{b}{y}{n}}${if ! eq{a}{b}{y}{n}}", "ny", 0 },
    { "${if bool{ Yes }}${if bool{00}}${if bool_lax{00}}", "truetrue", 0 },
    { "${if bool{x}}", "!unrecognised boolean value \"x\"", 0 },
    { "${if inlisti{B}{a:b}{$value}}${if inlist{x}{a}{y}{n}}$value", "bn", 0 },
    { "${if isip{1.2.3.4}{y}}${if isip6{::1}{y}}${if isip4{::1}{y}{n}}${if isip{1.2.3.999}{y}{n}}", "yynn", 0 },
    { "${if forany{<, a,b}{eq{$item}{b}}{y}{n}}${if forall{a:b}{eq{$item}{b}}{y}{n}}${if forall{}{eq{a}{a}}{y}{n}}", "ynn", 0 },
    { "${if forany_jsons{[\"a\",\"b\"]}{eq{$item}{b}}{y}{n}}", "y", 0 },
    { "${if match_domain{A.b}{x:a.b}{y}{n}}${if match_local_part{a}{$x:b}{y}{n}}", "yn", 0 },
    { "${if match_address{a}{defer}{y}{n}}", "~unable to complete match against \"defer\": deferred", 0 },
    { "${if match_domain{a}{+nolist}{y}}", "!unknown named list", 0 },
    { "${if match_ip{x}{*}}", "!\"x\" is not an IP address", 0 },
    { "${if crypteq{test}{\\{md5\\}CY9rzUYh03PK3k6DJie09g==}{y}{n}}", "y", 0 },
    { "${if crypteq{test}{\\{SHA1\\}A94A8FE5CCB19BA61C4C0873D391E987982FBBD3}{y}{n}}", "y", 0 },
    { "${if crypteq{test}{abgOeLfPimXQo}{y}{n}}${if crypteq{tes}{\\{crypt\\}abgOeLfPimXQo}{y}{n}}", "yn", 0 },
    { "${if crypteq{testtest1234}{\\{crypt16\\}aboqU0xf8M452I544JfkpB9g}{y}{n}}", "y", 0 },
    { "${if crypteq{a}{\\{x\\}y}}", "!unknown encryption mechanism in \"{x}y\"", 0 },
    { "${if !bool{x}}", "!unrecognised boolean value \"x\"", 0 }, /* not a negated nothing */
    { "${if crypteq{a}{}{y}{n}}${if crypteq{a}{*}{y}{n}}", "nn", 0 },
    { "${if pam{a:b}}", "!support for \"pam\" not compiled", 0 }, { "${if x{a}}", "!unknown condition \"x\"", 0 },
    { "${if}", "!condition name expected, but found \"}\"", 0 }, { "${if eq a}", "!missing { after \"eq\"", 0 },
    { "${if or{{eq{a}{b}}{y{x}}}}", "!unknown condition \"y\" inside \"or{...}\" condition", 0 },
    { "${if and{{bool{x}}}}", "!unrecognised boolean value \"x\" inside \"and{...}\" condition", 0 },
    { "${if and{eq{a}{a}}}", "!each subcondition inside an \"and{...}\" condition must be in its own {}", 0 },
    { "${if def:primary_hostname{y}}${if def:domain{y}{n}}${if def:h_subject:{y}{n}}", "yny", WORLD_MESSAGE },
    { "${if def:h_x{y}}", "!missing or misplaced { or } - could be header name not terminated by colon", 0 },
    { "${if def:foo}", "!unknown variable \"foo\" after \"def:\"", 0 }, { "${if exists{/}{y}}", "y", 0 })

ROWS(arithmetic,
    { "${eval:1+2*3} ${eval:(1+2)*3} ${eval:2+42%5}", "7 9 4", 0 },
    { "${eval:~255&0x1234} ${eval:-(~255&0x1234)} ${eval:0xc^5} ${eval:1<<63} ${eval:1<<64}", "4608 -4608 9 -9223372036854775808 1", 0 },
    { "${eval:010} ${eval10:010} ${eval:1K} ${eval:2g}", "8 10 1024 2147483648", 0 },
    { "${eval:-9223372036854775807-1} ${eval:(-9223372036854775807-1)/-1} ${eval:(-9223372036854775807-1)%-1}",
      "-9223372036854775808 -9223372036854775808 0", 0 },
    { "${eval:1/0}", "!error in expression evaluation: divide by zero (after processing \"1/0\")", 0 },
    { "${eval:9223372036854775807+1}", "!error in expression evaluation: overflow in sum (after processing \"9223372036854775807+1\")", 0 },
    { "${eval:(5}", "!error in expression evaluation: expecting closing parenthesis (after processing \"(5\")", 0 },
    { "${eval:}", "!error in expression evaluation: expecting number or opening parenthesis (after processing \"\")", 0 },
    { "${eval:5 5}", "!error in expression evaluation: expecting operator (after processing \"5 \")", 0 },
    { "${time_eval:1h30m} ${time_interval:123456}", "5400 1d10h17m36s", 0 },
    { "${time_eval:x}", "!string \"x\" is not an Exim time interval in \"time_eval\" operator", 0 },
    { "${base62:1234} ${base62d:0000Ju} ${base32:1234} ${base32d:bim}", "0000Ju 1234 bgs 1292", 0 },
    { "${base62:x}", "!argument for base62 operator is \"x\", which is not a decimal number", 0 },
    { "${randint:1}${randint:0}", "00", 0 })

ROWS(operators,
    { "${lc:ABC}${uc:d}${strlen:four}", "abcD4", 0 }, { "${md5:abc}", "900150983cd24fb0d6963f7d28e17f72", 0 },
    { "${sha1:abc}", "A9993E364706816ABA3E25717850C26C9CD0D89D", 0 },
    { "${sha3_224:abc}", "E642824C3F8CF24AD09234EE7D3C766FC9A3A5168D0C94AD73B46FDF", 0 },
    { "${sha2_384:}", "38B060A751AC96384CD9327EB1B1E36A21FDB71114BE07434C0CC7BF63F6E1DA274EDEBFE76F65FBD51AD2F14898B95B", 0 },
    { "${sha3_9:abc}", "!unrecognised sha3 variant", 0 },
    { "${base64:hello} ${base64d:aGVsbG8=} ${hex2b64:616263} ${str2b64:a}", "aGVsbG8= hello YWJj YQ==", 0 },
    { "${base64d:!}", "!string \"!\" is not well-formed for \"base64d\" operator", 0 },
    { "${hex2b64:6}", "!\"6\" contains an odd number of characters", 0 },
    { "${quote:ab\"*\"cd} ${quote:} ${quote:a.b-c_d} ${quote:a\\nb}", "\"ab\\\"*\\\"cd\" \"\" a.b-c_d \"a\\nb\"", 0 },
    { "${quote_local_part:a b} ${quote_local_part:a+b} ${quote_local_part:.a}", "\"a b\" a+b \".a\"", 0 },
    { "${rxquote:a.b} ${hexquote:a b} ${escape:a\\n\\tb\\x01} ${escape8bit:\\\\\\xff}", "a\\.b a\\x20b a\\n\tb\\001 \\134\\377", 0 },
    { "${address:A <a@b.c>} ${domain:a@b.c} ${local_part:a@b.c} ${addresses:>, x@y, Q <z@w>}", "a@b.c b.c a x@y,z@w", 0 },
    { "${mask:10.111.131.206/28} ${mask:3ffe:ffff:836f:0a00:000a:0800:200a:c031/99}",
      "10.111.131.192/28 3ffe.ffff.836f.0a00.000a.0800.2000.0000/99", 0 },
    { "${mask_n:3ffe:ffff::1/32}", "3ffe:ffff::/32", 0 }, { "${mask:1.2.3.4/33}", "!mask value too big in \"1.2.3.4/33\"", 0 },
    { "${mask:1.2.3.4}", "!missing mask value in \"1.2.3.4\"", 0 },
    { "${ipv6denorm:::1} ${ipv6norm:1:0:0:2:0:0:0:3} ${ipv6norm:1.2.3.4}",
      "0000:0000:0000:0000:0000:0000:0000:0001 1:0:0:2::3 ::ffff:102:304", 0 },
    { "${reverse_ip:192.0.2.4}", "4.2.0.192", 0 }, { "${reverse_ip:x}", "!reverse_ip() not given an IP address [x]", 0 },
    { "${listcount:a:b:c}${listcount:}", "30", 0 }, { "${listnamed:one}|${listnamed_d:+two}", "a.b : c : d::e|c : d::e", 0 },
    { "${listnamed_h:one}", "!\"one\" is not a host named list", 0 }, { "${listnamed_x:one}", "!bad suffix on \"list\" operator", 0 },
    { "${from_utf8:\\xc3\\xa9\\xe2\\x82\\xac}", "\xe9_", 0 }, { "${utf8clean:a\\xffb\\xc3}", "a?b?", 0 },
    { "${utf8_domain_to_alabel:stra\\xc3\\x9fe.de} ${utf8_domain_from_alabel:xn--strae-oqa.de}", "xn--strae-oqa.de stra\xc3\x9f" "e.de", 0 },
    { "${utf8_localpart_to_alabel:J\\xc3\\xb6rg} ${utf8_localpart_from_alabel:xn--Jrg-sna}", "xn--Jrg-sna J\xc3\xb6rg", 0 },
    { "${utf8_localpart_from_alabel:abc}", "!error converting alabel (abc) to utf8: bad alabel prefix", 0 },
    { "${expand:\\$primary_hostname}", "mail.example.com", 0 },
    { "${expand:\\$foo}", "!internal expansion of \"$foo\" failed: unknown variable name \"foo\"", 0 },
    { "${length_x:abc}", "!non-digit after underscore in \"length_x\"", 0 }, { "${s:abc}", "!missing values after s", 0 },
    { "${rfc2047:h\\xc3\\xa9} ${rfc2047d:=?utf-8?B?w6k=?=}", "=?UTF-8?Q?h=C3=A9?= \xc3\xa9", 0 },
    { "${stat:/no/such}", "!stat(/no/such) failed: No such file or directory", 0 })

ROWS(prvs,
    { "${prvscheck{${prvs{a@b.c}{secret}{5}}}{secret}{$prvscheck_address $prvscheck_keynum $prvscheck_result}}|$prvscheck_address$prvscheck_result",
      "a@b.c 5 1|1", 0 },
    { "${prvscheck{prvs=0000abcdef=a@b.c}{s}}<$prvscheck_result>", "a@b.c<>", 0 }, { "${prvscheck{a@b.c}{s}{x}}", "", 0 },
    { "${prvs{a}{s}}", "!prvs first argument must be a qualified email address", 0 },
    { "${prvs{a@b}{s}{12}}", "!prvs third argument must be a single digit", 0 })

ROWS(commands_and_files,
    { "${run{/bin/echo \"a  b\" 'c\\\\d'}{<$value>}}$runrc$value", "<a  b c\\d\n>0a  b c\\d\n", 0 },
    { "${run{/bin/sh -c \"exit 3\"}{y}{n}}$runrc", "n3", 0 }, { "${run{/no/such}{y}{n}}$runrc", "n127", 0 },
    { "${run{/bin/sh -c \"kill -9 \\$\\$\"}{y}{n}}$runrc", "n-9", 0 },
    { "${run{/bin/false}{y}fail}", "?\"run\" failed and \"fail\" requested", 0 },
    { "${run,preexpand{/bin/echo ${lc:A B}}}", "a b\n", 0 }, { "${run,x{/bin/true}}", "!bad option 'x' for run", 0 },
    { "${readfile{/no/such}}", "!failed to open /no/such: No such file or directory", 0 },
    { "${readfile{/dev/null}{:}}|", "|", 0 },
    { "${readsocket{/no/such}{x}{1s}{}{failed}}", "failed", 0 },
    { "${readsocket{/no/such}{x}}", "!failed to connect to socket /no/such: No such file or directory", 0 },
    { "${readsocket{inet:no.such:25}{}}", "!no IP address found for host no.such", 0 },
    { "${perl{x}}", "!${perl is not built in: there is no embedded Perl", 0 })

ROWS(variables_of_a_session,
    { "$sender_host_address:$sender_host_port $sender_helo_name", "192.0.2.1:4321 client.example", WORLD_SESSION },
    { "$sender_host_name|$host_lookup_failed", "|1", WORLD_SESSION },
    { "$sender_host_name|$host_lookup_failed$sender_host_port$received_port", "|00-1", 0 },
    { "$acl_c0 $acl_c_name ${acl_c0}$acl_c9", "c-zero c-name c-zero", WORLD_SESSION },
    { "$acl_cx", "!unknown variable name \"acl_cx\" (6th character of a user-defined ACL variable must be a digit or underscore)", 0 },
    { "$acl_foo", "!unknown variable name \"acl_foo\" (user-defined ACL variables must start acl_c or acl_m)", 0 },
    { "$tls_in_cipher $tls_cipher $tls_in_bits $tls_out_cipher$tls_out_bits", "TLS1.3:X:256 TLS1.3:X:256 256 0", WORLD_SESSION },
    { "${certextract{subject}{$tls_in_peercert}{<$value>}{no}}", "<CN=x>", WORLD_SESSION },
    { "${certextract{x}{$tls_in_peercert}{y}{no}}${certextract{subject}{$tls_out_peercert}}", "no", WORLD_SESSION },
    { "${certextract{bad}{$tls_in_peercert}}", "!bad field \"bad\"", WORLD_SESSION },
    { "${certextract{x}{$domain}}", "!\"domain\" is not a certificate", 0 },
    { "${certextract{x}{abc}}", "!second argument of \"certextract\" must be a certificate variable", 0 },
    { "${md5:$tls_in_peercert} ${base64:$tls_in_peercert}${sha1:$tls_out_peercert}", "md5 of CN=x QUJDREVG", WORLD_SESSION },
    { "$dkim_domain", "!unknown variable name \"dkim_domain\" (DKIM is not built in)", 0 })

#ifdef EXPERIMENTAL_PROXY
ROWS(variables_of_a_balancer,
    { "$proxy_host_address:$proxy_host_port $proxy_target_address:$proxy_target_port $proxy_session",
      "10.0.0.1:99 198.51.100.1:25 yes", WORLD_SESSION },
    { "$proxy_local_address:$proxy_local_port $proxy_external_address:$proxy_external_port",
      "10.0.0.1:99 198.51.100.1:25", WORLD_SESSION },
    { "$proxy_session|$proxy_host_address|$proxy_host_port", "no||0", 0 },
    { "$proxy_version $proxy_command $proxy_authority|$proxy_alpn|$proxy_failure", "2 PROXY sn||", WORLD_SESSION },
    { "$proxy_tls_version $proxy_tls_cn $proxy_tls_verified|$proxy_tls_cipher", "TLSv1.3 c yes|", WORLD_SESSION },
    { "${proxytlv{0xEA}{<$value>}{no}}${proxytlv{0x31}{y}{no}}${proxytlv{234}}", "<\\001vp>no\\001vp", WORLD_SESSION },
    { "${proxytlv{256}}", "!first argument of \"proxytlv\" must be a number from 0 to 255", 0 })
#endif

ROWS(variables_of_a_message,
    { "$h_subject:|$rh_subject:|$bh_subject:", "H\xc3\xa9 w| =?utf-8?Q?H=C3=A9?= w\n|H\xc3\xa9 w", WORLD_MESSAGE },
    { "$h_to: $header_x-m:", "b@x.y,\n c@x.y,\nd@x.y one\ntwo", WORLD_MESSAGE },
    { "$lh_x-m:|$h_nope:$h_x", " one: two|", WORLD_MESSAGE }, { "$h_a{b:c", "c", WORLD_MESSAGE },
    { "$sender_address $sender_address_domain $sender_address_local_part", "send.er@x.y x.y send.er", WORLD_MESSAGE },
    { "$reply_address|$message_exim_id $message_id", "A <a@x.y>|1abcde-000001-AB 1abcde-000001-AB", WORLD_MESSAGE },
    { "$message_headers", "From: A <a@x.y>\nTo: b@x.y,\n c@x.y\nSubject: H\xc3\xa9 w\nX-M: one\nX-M: two\nTo: d@x.y\nReply-To:", WORLD_MESSAGE },
    { "$spam_score $spam_score_int $recipients_count $acl_m_foo$acl_m0", "-6.3 -63 2 m-foo", WORLD_MESSAGE },
    { "$recipients", "!unknown variable name \"recipients\"", WORLD_MESSAGE },
    { "$message_body|$message_size|$h_x:|$message_age", "|0||0", 0 })

ROWS(variables_of_an_address,
    { "$local_part@$domain $parent_local_part@$parent_domain $original_local_part", "u@d.e pre-r1@x.y pre-r1", WORLD_ALL },
    { "$r_x$r_y $address_data $home $router_name $transport_name", "rx ad /home/u aliases ", WORLD_ALL },
    { "$return_path|$local_user_uid", "own@x.y|4294967295", WORLD_ALL }, { "$domain$return_path$r_x", "", 0 },
    { "$n0", "!unknown variable name \"n0\"", 0 })

#ifdef EXPERIMENTAL_DSN
ROWS(variables_of_dsn,
    { "$dsn_envid $dsn_ret $dsn_notify $dsn_orcpt", "QQ314 HDRS SUCCESS,DELAY rfc822;r1@x.y", WORLD_ALL },
    { "$dsn_envid|$dsn_ret|$dsn_notify|$dsn_orcpt", "|||", 0 })
#endif

ROWS(variables_of_the_process,
    { "$primary_hostname $qualify_domain $version_number $config_dir $config_file", "mail.example.com example.com 4.89 /etc/exim /etc/exim/exim.conf", 0 },
    { "$caller_uid $localhost_number $bounce_return_size_limit $load_average", "1000 0 102400 210", 0 },
    { "${if match{$tod_log}{\\N^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\N}{y}}${if >{$pid}{1}{y}}${if >{$spool_space}{0}{y}}", "yyy", 0 },
    { "$acl_narg$acl_arg1|$value|$item|$runrc|$inode", "0|||0|0", 0 })
/* clang-format on */

static void a_constant_costs_nothing(void **state)
{
    struct err err;
    const struct expr *e = expr_compile(*state, "plain text", &err);

    assert_string_equal(e->constant, "plain text");
    assert_null(e->program);
    e = expr_compile(*state, "\\Nno $var\\N here", &err);
    assert_string_equal(e->constant, "no $var here");
    assert_null(expr_compile(*state, "$domain", &err)->constant);
    assert_null(expr_compile(*state, "${domain", &err));
    assert_non_null(err.msg);
}

static void a_lone_variable_is_not_copied(void **state)
{
    struct expand_ctx ctx;
    const char *out;

    world_init(&ctx, *state, 0);
    const struct expr *e = expr_compile(*state, "$primary_hostname", NULL);
    assert_int_equal(expand(&ctx, e, &out), EXPAND_OK);
    assert_ptr_equal(out, ctx.exim->config->primary_hostname);
    assert_int_equal(expand(&ctx, NULL, &out), EXPAND_OK);
    assert_string_equal(out, "");
}

static void truth_and_numbers(void **state)
{
    static const struct {
        const char *text;
        bool want;
    } rows[] = { { "", false },   { "0", false },  { "no", false }, { "False", false }, { "1", true },
                 { "yes", true }, { "00", true },  { "x", true },   { "${if eq{a}{b}{y}fail}", false } };
    struct expand_ctx ctx;
    bool yes;
    long n;

    world_init(&ctx, *state, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(expand_bool(&ctx, expr_compile(*state, rows[i].text, NULL), true, &yes), EXPAND_OK);
        CHECK(rows[i].text, yes == rows[i].want);
    }
    assert_int_equal(expand_bool(&ctx, NULL, true, &yes), EXPAND_OK);
    assert_true(yes);
    assert_int_equal(expand_int(&ctx, expr_compile(*state, "${eval:3*7}K", NULL), &n), EXPAND_OK);
    assert_int_equal(n, 21 * 1024);
    assert_int_equal(expand_int(&ctx, expr_compile(*state, "x", NULL), &n), EXPAND_FAIL);
}

static void what_filters_must_not_do_is_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "${lookup{k1}lsearch{/f}}", "lookup expansions are not permitted" },
        { "${run{/bin/true}}", "running a command is not permitted" },
        { "${readfile{/f}}", "file insertions are not permitted" },
        { "${readsocket{/f}{x}{1s}{}{y}}", "socket insertions are not permitted" },
        { "${if exists{/f}}", "File existence tests are not permitted" },
        { "${stat:/f}", "Use of the stat() expansion is not permitted" },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct expand_ctx ctx;
        const char *out;

        world_init(&ctx, *state, 0);
        ctx.forbid = ~0U;
        assert_int_equal(expand_text(&ctx, rows[i].text, &out), EXPAND_FAIL);
        CHECK_STR(rows[i].text, ctx.err.msg, rows[i].want);
    }
}

static void nesting_is_bounded(void **state)
{
    struct buf b = buf_init(*state, BUF_DEFAULT_CEILING);
    struct expand_ctx ctx;
    const char *out;
    struct err err;

    for (int i = 0; i < 100000; i++)
        buf_add_cstr(&b, "${lc:");
    assert_null(expr_compile(*state, buf_cstr(&b), &err));
    assert_string_equal(err.msg, "expansion items are nested too deeply");
    buf_clear(&b);
    buf_add_cstr(&b, "${if ");
    for (int i = 0; i < 100000; i++)
        buf_add_cstr(&b, "and{{");
    assert_null(expr_compile(*state, buf_cstr(&b), &err));
    world_init(&ctx, *state, 0);
    ctx.acl_arg[0] = "${expand:$acl_arg1}";
    ctx.acl_narg = 1;
    assert_int_equal(expand_text(&ctx, "$acl_arg1", &out), EXPAND_OK);
    assert_int_equal(expand_text(&ctx, "${expand:$acl_arg1}", &out), EXPAND_FAIL);
    assert_non_null(strstr(ctx.err.msg, "nested too deeply"));
    assert_int_equal(ctx.depth, 0);
}

static void strict_acl_vars_and_visible_recipients(void **state)
{
    struct expand_ctx ctx;
    const char *out;

    world_init(&ctx, *state, WORLD_MESSAGE);
    ((struct config *)(uintptr_t)ctx.exim->config)->main.strict_acl_vars = true;
    assert_int_equal(expand_text(&ctx, "$acl_m_foo", &out), EXPAND_OK);
    assert_int_equal(expand_text(&ctx, "$acl_m9", &out), EXPAND_FAIL);
    assert_string_equal(ctx.err.msg, "unknown variable name \"acl_m9\" (strict_acl_vars is set)");
    ctx.recipients_visible = true;
    assert_int_equal(expand_text(&ctx, "$recipients", &out), EXPAND_OK);
    assert_string_equal(out, "r1@x.y, r2@x.y");
    assert_true(expand_variable(&ctx, "sender_address", &out));
    assert_string_equal(out, "send.er@x.y");
    assert_false(expand_variable(&ctx, "nope", &out));
}

#define CHECK_ORDER(table, count)                                    \
    for (size_t i = 1; i < (count); i++)                             \
    CHECK((table)[i].name, strcmp((table)[i - 1].name, (table)[i].name) < 0)

static void tables_are_sorted(void **state)
{
    (void)state;
    CHECK_ORDER(item_table, item_count);
    CHECK_ORDER(operator_table, operator_count);
    CHECK_ORDER(condition_table, condition_count);
    CHECK_ORDER(variable_table, variable_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(literal_text_and_escapes), UNIT_TEST(dollar_syntax), UNIT_TEST(branches),
        UNIT_TEST(captures_live_as_long_as_their_if), UNIT_TEST(parts_not_chosen_are_not_evaluated),
        UNIT_TEST(string_items), UNIT_TEST(extraction), UNIT_TEST(list_items),
        UNIT_TEST(lookups_and_acls), UNIT_TEST(conditions), UNIT_TEST(arithmetic),
        UNIT_TEST(operators), UNIT_TEST(prvs), UNIT_TEST(commands_and_files),
        UNIT_TEST(variables_of_a_session),
#ifdef EXPERIMENTAL_PROXY
        UNIT_TEST(variables_of_a_balancer),
#endif
        UNIT_TEST(variables_of_a_message), UNIT_TEST(variables_of_an_address),
#ifdef EXPERIMENTAL_DSN
        UNIT_TEST(variables_of_dsn),
#endif
        UNIT_TEST(variables_of_the_process), UNIT_TEST(a_constant_costs_nothing),
        UNIT_TEST(a_lone_variable_is_not_copied), UNIT_TEST(truth_and_numbers),
        UNIT_TEST(what_filters_must_not_do_is_refused), UNIT_TEST(nesting_is_bounded),
        UNIT_TEST(strict_acl_vars_and_visible_recipients), UNIT_TEST(tables_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
