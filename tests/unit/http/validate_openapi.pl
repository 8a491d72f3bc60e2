# Judges an OpenAPI document by the official JSON schema of OpenAPI 3.0 (Debian: libjson-validator-perl,
# openapi-specification).  Takes the program that prints it.  To show that the validator looks at all, a
# damaged copy must be refused.
use strict;
use warnings;
use JSON::Validator;
use Mojo::JSON qw(decode_json encode_json);

open(my $print, '-|', $ARGV[0]) or die "$ARGV[0]: $!\n";
my $text = do { local $/; <$print> };
close($print) or die "$ARGV[0] failed\n";

sub errors_of {
  my $schema = JSON::Validator->new->schema(shift)->schema;
  die "it is not taken for OpenAPI 3\n" unless $schema->isa('JSON::Validator::Schema::OpenAPIv3');
  return @{$schema->errors};
}

my @errors = errors_of(decode_json($text));
print "$_\n" for @errors;

my $damaged = decode_json($text);
delete $damaged->{paths}{'/api/v1/kv'}{get}{responses};
my $found = errors_of($damaged);
print "a damaged document passes\n" unless $found;
exit(@errors || !$found ? 1 : 0);
