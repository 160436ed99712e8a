#!@PERL_COMMAND@
# Prints all log lines of the messages of which one line matches a pattern.
use strict;
use warnings;
use Getopt::Std;

my %option;
sub usage
{
    die "Usage: exigrep [-I] [-l] [-M] [-v] [-t<seconds>] <pattern> [<log file>...]\n"
        . "  -I case matters         -l pattern is a plain string\n"
        . "  -M related messages too -v messages that do not match\n"
        . "  -t<seconds> only messages that were that long in the queue\n";
}
usage() if !getopts('IlMvt:', \%option) || !@ARGV;
usage() if defined $option{t} && $option{t} !~ /^\d+$/;
my $pattern = shift @ARGV;
$pattern = quotemeta $pattern if $option{l};
my $wanted = eval { $option{I} ? qr/$pattern/ : qr/$pattern/i } or die "exigrep: bad regular expression: $@";

my $ID = qr/\w{6}-\w{6}-\w\w/;
my $STAMP = qr/\d{4}-\d\d-\d\d\s\d\d:\d\d:\d\d(?:\.\d+)?(?:\s[-+]\d{4})?/;
my %unit = (s => 1, m => 60, h => 3600, d => 86400, w => 604800);
my (%lines, %hit, %slow, %parent, %children);

sub seconds
{
    my ($text) = @_;
    my $sum = 0;
    $sum += $1 * $unit{$2} while $text =~ /([\d.]+)([smhdw])/g;
    return $sum;
}

sub print_message
{
    my ($id, $note) = @_;
    print "+++ $id has not completed +++\n" if $note;
    print @{ $lines{$id} }, "\n";
    delete $lines{$id};
}

sub is_chosen
{
    my ($id) = @_;
    return 0 if defined $option{t} && ($slow{$id} // 0) <= $option{t};
    return $option{v} ? !$hit{$id} : $hit{$id};
}

# With -M a bounce and what caused it are one family.
sub family_hit
{
    my ($id) = @_;
    my @todo = ($id);
    my %seen;
    while (defined(my $one = shift @todo)) {
        next if $seen{$one}++;
        return 1 if is_chosen($one);
        push @todo, grep { defined } $parent{$one}, @{ $children{$one} || [] };
    }
    return 0;
}

sub take
{
    my ($line) = @_;
    my ($id) = $line =~ /^(?:$STAMP\s)(?:\[\d+\]\s)?($ID)\s/;
    if (!defined $id) {
        return if $option{t};
        my $match = $line =~ $wanted;
        print $line, "\n" if $line =~ /^$STAMP/ && ($option{v} ? 0 : $match);
        return;
    }
    push @{ $lines{$id} }, $line;
    $hit{$id} = 1 if $line =~ $wanted;
    if ($line =~ / <= .*? R=($ID)\b/) {
        $parent{$id} = $1;
        push @{ $children{$1} }, $id;
    }
    $slow{$id} = seconds($1) if $line =~ /\bQT=([\d.smhdw]+)/ && seconds($1) > ($slow{$id} // 0);
    return if $option{M} || $line !~ /$ID Completed/;
    if (is_chosen($id)) { print_message($id, 0) }
    delete $_->{$id} for \(%lines, %hit, %slow);
}

sub open_log
{
    my ($name) = @_;
    my $handle;
    if ($name =~ /\.(?:gz|\Q@COMPRESS_SUFFIX@\E)$/) {
        open($handle, '-|', '@ZCAT_COMMAND@', '--', $name) or die "exigrep: cannot read $name: $!\n";
    } else {
        open($handle, '<', $name) or die "exigrep: cannot read $name: $!\n";
    }
    return $handle;
}

for my $name (@ARGV) {
    my $log = open_log($name);
    take($_) while <$log>;
    close($log) or die "exigrep: error reading $name\n";
}
if (!@ARGV) { take($_) while <STDIN>; }

my %done = map { $_ => 1 } grep { grep { / Completed/ } @{ $lines{$_} } } keys %lines;
my @rest = grep { $option{M} ? family_hit($_) : is_chosen($_) } sort keys %lines;
print_message($_, 0) for grep { $done{$_} } @rest;
print_message($_, 1) for grep { !$done{$_} } @rest;
