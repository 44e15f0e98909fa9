/** Geometry, vectors, MariaDB’s own types, compressed and generated columns, with values: part of what all-types.it.test.ts runs. */
import { mariadb, mysql, none, type TypeCase } from './type-case.ts'

export const otherCases: readonly TypeCase[] = [
  {
    type: 'JSON',
    name: 'in the order of the server, numbers as it keeps them',
    logical: 'json',
    on: mysql,
    values: [
      [`'{"bb": 1.0, "a":[1,2.50, "ü"]}'`, '{"a": [1, 2.5, "ü"], "bb": 1.0}'],
      [
        `JSON_ARRAY(CAST('2.50' AS DECIMAL(5, 2)), 18446744073709551615)`,
        '[2.50, 18446744073709551615]',
      ],
      [`'null'`, 'null'],
      none,
    ],
  },
  {
    type: 'JSON',
    name: 'as it was written',
    logical: 'json',
    on: mariadb,
    values: [
      [`'{"bb": 1.0, "a":[1,2.50, "ü"]}'`, '{"bb": 1.0, "a":[1,2.50, "ü"]}'],
      [`'null'`, 'null'],
      none,
    ],
  },
  {
    type: 'JSON, INDEX multi ((CAST(v AS UNSIGNED ARRAY)))',
    name: 'with a multi-valued index, whose column is hidden',
    logical: 'json',
    on: mysql,
    values: [[`'[3, 1]'`, '[3, 1]'], none],
  },
  {
    type: 'POINT',
    logical: 'bytes',
    values: [
      ["ST_GeomFromText('POINT(1 2)')", '\\x0101000000000000000000f03f0000000000000040'],
      none,
    ],
  },
  {
    type: 'POINT',
    name: 'with an SRID, as EWKB',
    logical: 'bytes',
    on: mysql,
    values: [
      [
        "ST_GeomFromText('POINT(1 2)', 4326)",
        '\\x0101000020e61000000000000000000040000000000000f03f',
      ],
    ],
  },
  {
    type: 'POINT',
    name: 'with an SRID, as EWKB',
    logical: 'bytes',
    on: mariadb,
    values: [
      [
        "ST_GeomFromText('POINT(1 2)', 4326)",
        '\\x0101000020e6100000000000000000f03f0000000000000040',
      ],
    ],
  },
  {
    type: 'GEOMETRY',
    logical: 'bytes',
    values: [
      [
        "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 3857)",
        '\\x0107000020110f0000020000000101000000000000000000f03f000000000000004001020000000200000000000000000000000000000000000000000000000000f03f000000000000f03f',
      ],
    ],
  },
  {
    type: 'VECTOR(3)',
    logical: 'list<float32>',
    on: mysql,
    values: [["STRING_TO_VECTOR('[1.5, -2, 0.1]')", '{1.5,-2,0.1}'], none],
  },
  {
    type: 'VECTOR(3)',
    logical: 'list<float32>',
    on: ['mariadb-11.8'],
    values: [["VEC_FromText('[1.5, -2, 0.1]')", '{1.5,-2,0.1}'], none],
  },
  {
    type: 'UUID',
    logical: 'uuid',
    on: mariadb,
    values: [
      ["'123e4567-e89b-12d3-a456-426614174000'", '123e4567-e89b-12d3-a456-426614174000'],
      ["'01890a5d-ac96-774b-bcce-b302099a8057'", '01890a5d-ac96-774b-bcce-b302099a8057'],
      ["'1ec9414c-232a-6b00-b3c8-9f6bdeced846'", '1ec9414c-232a-6b00-b3c8-9f6bdeced846'],
      ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
      ["'00000000-0000-0000-0000-000000000000'", '00000000-0000-0000-0000-000000000000'],
      ["'f47ac10b-58cc-4372-a567-0e02b2c3d479'", 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
      ["'00112233-4455-8677-8899-aabbccddee00'", '00112233-4455-8677-8899-aabbccddee00'],
      ["'00112233-4455-4677-0899-aabbccddee00'", '00112233-4455-4677-0899-aabbccddee00'],
      ["'00112233-4455-7677-0899-aabbccddee00'", '00112233-4455-7677-0899-aabbccddee00'],
      ["'00112233-4455-1077-8099-aabbccddee80'", '00112233-4455-1077-8099-aabbccddee80'],
      ["'00112233-4455-5f77-ff99-aabbccddee80'", '00112233-4455-5f77-ff99-aabbccddee80'],
      ["'00112233-4455-0077-8099-aabbccddee80'", '00112233-4455-0077-8099-aabbccddee80'],
      ["'00112233-4455-6077-8099-aabbccddee80'", '00112233-4455-6077-8099-aabbccddee80'],
      ["'00112233-4455-6677-c899-aabbccddee00'", '00112233-4455-6677-c899-aabbccddee00'],
      none,
    ],
  },
  {
    type: 'INET4',
    logical: 'other(inet4)',
    on: mariadb,
    values: [
      ["'192.0.2.0'", '192.0.2.0'],
      ["'0.0.0.0'", '0.0.0.0'],
      ["'255.255.255.255'", '255.255.255.255'],
      none,
    ],
  },
  {
    type: 'INET6',
    logical: 'other(inet6)',
    on: mariadb,
    values: [
      ["'2001:db8::ff00:42:8329'", '2001:db8::ff00:42:8329'],
      ["'::'", '::'],
      ["'::1'", '::1'],
      ["'::ffff:192.0.2.1'", '::ffff:192.0.2.1'],
      ["'::192.0.2.1'", '::192.0.2.1'],
      ["'1:0:0:2:0:0:0:3'", '1:0:0:2::3'],
      ["'1:0:2:3:4:5:6:7'", '1::2:3:4:5:6:7'],
      ["'2001:db8::'", '2001:db8::'],
      ["'fe80::1:0:0:0'", 'fe80::1:0:0:0'],
      ["'1:2:3:4:5:6:7:0'", '1:2:3:4:5:6:7::'],
      ["'0:1:2:3:4:5:6:7'", '::1:2:3:4:5:6:7'],
      ["'::2:3'", '::0.2.0.3'],
      none,
    ],
  },
  {
    type: 'VARCHAR(100) COMPRESSED',
    on: mariadb,
    logical: 'text',
    values: [["REPEAT('ab', 50)", 'ab'.repeat(50)], ["'x'", 'x'], ["''", ''], none],
  },
  {
    type: 'VARCHAR(300) COMPRESSED CHARACTER SET latin1',
    on: ['mariadb-11.8'],
    logical: 'text',
    values: [["REPEAT('ü', 250)", 'ü'.repeat(250)]],
  },
  {
    type: 'BLOB COMPRESSED',
    on: mariadb,
    logical: 'bytes',
    values: [
      ["REPEAT(x'00', 3000)", `\\x${'00'.repeat(3000)}`],
      ["x'01'", '\\x01'],
      ["x''", '\\x'],
    ],
  },
  {
    type: 'LONGTEXT COMPRESSED',
    on: mariadb,
    logical: 'text',
    values: [["REPEAT('ab', 50000)", 'ab'.repeat(50000)]],
  },
  { type: 'INT INVISIBLE', logical: 'int32', values: [['5', '5']], on: mysql, name: 'invisible' },
  {
    type: 'INT AS (id + 1) STORED',
    isGenerated: true,
    logical: 'int32',
    values: [
      ['', '1'],
      ['', '2'],
    ],
  },
  {
    type: 'INT AS (id * 2) VIRTUAL',
    isGenerated: true,
    logical: 'int32',
    values: [
      ['', '0'],
      ['', '2'],
    ],
  },
]
