// Package catalog is the data dictionary of a federation: its tables, their
// columns with types, bounds and domains, which tables are public, and how each
// private table reaches its patient.
//
// The coordinator plans with it, and every node checks fragments against its own copy. Digest tells whether two copies
// mean the same. Everything that a catalog declares is public: a bound clamps, a domain lists every key that an answer
// shows, and keys, `one_row_per_patient` and `max_sites` lower sensitivities. A node relies on keys and
// `one_row_per_patient` if it is sure of them for the rows that it reads. Otherwise it enforces in its SQL what follows
// from them. Nobody verifies `max_sites`, so a wrong value costs patients their protection.
//
// # The file
//
//	catalog: eicu                # the schema's name
//	description: ...
//	extends: omop-5.4            # optional: start from a built-in catalog
//	max_sites: 3                 # number of hospitals at which a patient may be; absent: all asked nodes
//	hospital_column: true        # whether queries may use the virtual column `hospital`; default false
//	max_groups: 5                # number of groups in which a patient counts in full; default 5
//	max_rows: 10                 # number of rows of a patient that count in full; default 10
//	tables:
//	  patient:
//	    description: one unit stay
//	    key: patientunitstayid   # the column, or list of columns, that identifies a row
//	    patient: uniquepid       # the column that leads to the patient
//	    expected_patients: 2000  # rough number in the federation; public, and only used for expected errors
//	    typical_rows: 3          # number of rows of a patient with many rows; also only for expected errors
//	    columns:
//	      patientunitstayid: {type: int, nullable: false}
//	      uniquepid: {type: text, nullable: false}
//	      age: {type: int, bounds: [0, 120], description: years at admission}
//	      gender: {type: text, nullable: false, domain: [Female, Male], steady: true}  # one value per patient
//	  vitalaperiodic:
//	    patient: patientunitstayid
//	    max_rows: 50
//	    columns:
//	      patientunitstayid: {type: int, nullable: false, references: patient.patientunitstayid}
//	  hospital:
//	    public: true
//	    key: hospitalid
//	    columns:
//	      hospitalid: {type: int, nullable: false}
//
// Names are lower-cased and match [a-z_][a-z0-9_]*. Values in bounds and domain are read with the column's type.
// Anchors, aliases and unknown keys are refused.
//
// With `extends`, the file overrides the built-in catalog: a setting replaces that setting, a column replaces the whole
// column of that name, and new tables and columns are added. Nothing can be removed; a node that does not offer a table
// leaves it unmapped.
//
// # The patient
//
// A private table names a column, `patient`. It holds the patient's id, or references the key of another private table,
// whose own `patient` continues the path. A row whose path meets a NULL or a missing row belongs to nobody and does not
// count.
package catalog
