# DBD::Pg: see drivers.py.
use strict;
use warnings;
use DBI;
use DBD::Pg;

my ($host, $port) = split /:/, $ENV{CLIENT_POSTGRES};
my $dbh = DBI->connect("dbi:Pg:dbname=trial;host=$host;port=$port;sslmode=verify-full;sslrootcert=$ENV{CLIENT_CA}",
    "ada", $ENV{CLIENT_TOKEN}, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });

sub check {
    my ($what, $got, $want) = @_;
    $got eq $want or die "$what: got $got, not $want\n";
}

# Asked without waiting, and called off.
if ($ENV{CLIENT_SLOW}) {
    $dbh->do($ENV{CLIENT_SLOW}, { pg_async => DBD::Pg::PG_ASYNC() });
    my $line = <STDIN>;
    $dbh->pg_cancel();
    check("after that", scalar(@{ $dbh->selectall_arrayref($ENV{CLIENT_QUICK}) }) > 0 ? 1 : 0, 1);
    $dbh->disconnect;
    print "ok\n";
    exit;
}

sub row { join ",", map { defined $_ ? $_ : "null" } @_ }

my $sql = $ENV{CLIENT_MIXED};
$sql =~ s/\?1/\$1/;
$sql =~ s/\?2/\$2/;
my $rows = $dbh->selectall_arrayref($sql, undef, [ 8507, 8532 ], 1950);
(my $want = $ENV{CLIENT_MIXED_ROWS}) =~ s/["\s]//g;
check("a list", "[" . join(",", map { "[" . row(@$_) . "]" } @$rows) . "]", $want);
check("tables", scalar(grep { $_ =~ /\bperson\b/ } $dbh->tables(undef, "public", "person", "TABLE")), 1);
check("columns", join(",", map { $_->{COLUMN_NAME} } @{ $dbh->column_info(undef, "public", "death", "death%")->fetchall_arrayref({}) }) =~ /death_date/ ? "ok" : "", "ok");
check("key", join(",", $dbh->primary_key(undef, "public", "person")), "person_id");
for (
    [ "SELECT COUNT(*) AS n FROM death WHERE death_date >= ?", "2020-01-01", "DATE '2020-01-01'" ],
    [ "SELECT COUNT(*) AS n FROM measurement WHERE value_as_number >= ?", "12.50", "12.5" ],
) {
    my ($text, $value, $literal) = @$_;
    (my $written = $text) =~ s/\?/$literal/;
    check($text, $dbh->selectrow_array($text, undef, $value), $dbh->selectrow_array($written));
}
eval { $dbh->do("SELECT COUNT(*) FROM persn") };
check("an error", $dbh->state, "42P01");
check("its words", ($@ =~ /UNKNOWN_TABLE/ && $@ =~ /did you mean person\?/) ? "ok" : $@, "ok");

$dbh->disconnect;
print "ok\n";
