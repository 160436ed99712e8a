#!@PERL_COMMAND@
# Selects messages from the queue: those all the given conditions fit.
use strict;
use warnings;
use Getopt::Std;

my $exim = $ENV{EXIM} // '@BIN_DIRECTORY@/exim';
my %option;
if (!getopts('f:r:s:y:o:C:zxclibRah', \%option) || @ARGV || $option{h}) {
    print STDERR <<'TEXT';
Usage: exiqgrep [options]
  -f <regexp>  sender           -r <regexp>  recipient      -s <regexp>  size as listed
  -y <seconds> younger than     -o <seconds> older than
  -z frozen only                -x not frozen only
  -c count   -l long (default)  -i ids only  -b brief: id, from, to
  -R reverse order              -a with recipients that have had it
  -C <file>  configuration
TEXT
    exit($option{h} ? 0 : 1);
}
for my $letter (qw(y o)) {
    die "exiqgrep: -$letter needs a number of seconds\n"
        if defined $option{$letter} && $option{$letter} !~ /^\d+$/;
}
die "exiqgrep: -z and -x exclude each other\n" if $option{z} && $option{x};
for my $letter (qw(f r s)) {
    die "exiqgrep: -$letter: bad regular expression: $@" if defined $option{$letter} && !eval { qr/$option{$letter}/; 1 };
}

my %unit = (m => 60, h => 3600, d => 86400, w => 604800);

# Messages as -bp lists them: age, size, id, sender, whether frozen, the recipients, the lines.
sub read_queue
{
    my @queue;
    my @command = ($exim, defined $option{C} ? ('-C', $option{C}) : (), $option{a} ? '-bpa' : '-bp');
    open(my $list, '-|', @command) or die "exiqgrep: cannot run $exim: $!\n";
    while (my $line = <$list>) {
        if ($line =~ /^\s*(\d+)([mhdw])\s+(\S+)\s+(\w{6}-\w{6}-\w\w)(?:-H)?\s+(?:\([^)]*\)\s+)?<(.*?)>\s*(.*)$/) {
            push @queue, { age => $1 * $unit{$2}, size => $3, id => $4, from => $5,
                           frozen => index($6, '*** frozen ***') >= 0, to => [], lines => [$line] };
        } elsif (@queue && $line =~ /^\s+(D |\+D )?\s*(\S.*?)\s*$/) {
            push @{ $queue[-1]{lines} }, $line;
            push @{ $queue[-1]{to} }, $2 if !defined $1 || $option{a};
        }
    }
    close($list) or die "exiqgrep: $exim -bp failed\n";
    return @queue;
}

sub fits
{
    my ($m) = @_;
    return (!defined $option{f} || $m->{from} =~ /$option{f}/i)
        && (!defined $option{r} || grep { /$option{r}/i } @{ $m->{to} })
        && (!defined $option{s} || $m->{size} =~ /$option{s}/)
        && (!defined $option{y} || $m->{age} < $option{y})
        && (!defined $option{o} || $m->{age} > $option{o})
        && (!$option{z} || $m->{frozen})
        && (!$option{x} || !$m->{frozen});
}

my @queue = read_queue();
my @chosen = grep { fits($_) } @queue;
@chosen = reverse @chosen if $option{R};
if ($option{c}) {
    printf "%d matches out of %d messages\n", scalar @chosen, scalar @queue;
} elsif ($option{i}) {
    print "$_->{id}\n" for @chosen;
} elsif ($option{b}) {
    print "$_->{id} From: <$_->{from}> To: " . join(';', @{ $_->{to} }) . "\n" for @chosen;
} else {
    print @{ $_->{lines} }, "\n" for @chosen;
}
exit(@chosen ? 0 : 1);
